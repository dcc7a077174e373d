//! The quality of service class, which follows from requests and limits.

use serde_json::Value;

use super::super::field::At;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(super) fn class(pod: &Value) -> &'static str {
    let spec = At::root(pod).at("spec");
    let whole = spec.at("resources");
    if whole.is_set() && (!whole.at("requests").is_empty() || !whole.at("limits").is_empty()) {
        return of(&[whole]);
    }
    let containers = spec.at("containers").items().chain(spec.at("initContainers").items());
    of(&containers.map(|container| container.at("resources")).collect::<Vec<_>>())
}

fn of(all: &[At<'_>]) -> &'static str {
    let amount = |resources: &At<'_>, list: &str, name: &str| {
        resources.at(list).at(name).quantity().filter(|quantity| !quantity.is_zero())
    };
    let asks = |resources: &At<'_>| {
        ["cpu", "memory"]
            .iter()
            .any(|name| amount(resources, "requests", name).or_else(|| amount(resources, "limits", name)).is_some())
    };
    let guaranteed = |resources: &At<'_>| {
        ["cpu", "memory"].iter().all(|name| {
            let Some(limit) = amount(resources, "limits", name) else { return false };
            amount(resources, "requests", name).is_none_or(|request| limit.minus(request).is_zero())
        })
    };
    if !all.iter().any(asks) {
        "BestEffort"
    } else if all.iter().all(guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
