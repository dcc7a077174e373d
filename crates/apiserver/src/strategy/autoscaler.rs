//! HorizontalPodAutoscalers.

mod metric;

use object::Quantity;
use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::At;
use super::workload::counts;
use super::{Context, Strategy, reference};

pub(super) struct Autoscaler;

const MAX_WINDOW: i64 = 3600;
const MAX_PERIOD: i64 = 1800;

/// What an object that is scaled or measured may say about its API.
#[derive(Clone, Copy)]
struct Api {
    /// Whether the core group is accepted.
    core: bool,
    /// Whether anything is: it was there before.
    any: bool,
}

impl Strategy for Autoscaler {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        validate_spec(&At::root(object).at("spec"), None)
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            let mut errors = ErrorList::new();
            counts(&At::root(object).at("status"), &["currentReplicas", "desiredReplicas"], &mut errors);
            return errors;
        }
        validate_spec(&At::root(object).at("spec"), Some(&old["spec"]))
    }
}

fn validate_spec(spec: &At<'_>, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    replicas(spec, old, &mut errors);
    let target = spec.at("scaleTargetRef");
    let same =
        |old: &Value| ["apiVersion", "kind"].iter().all(|field| old["scaleTargetRef"][*field] == target.value[*field]);
    let api = match old {
        Some(old) if same(old) => Api { core: false, any: true },
        _ => Api { core: target.at("kind").text() == "ReplicationController", any: false },
    };
    referenced(&target, api, &mut errors);
    metrics(spec, old, &mut errors);
    let behavior = spec.at("behavior");
    for direction in ["scaleUp", "scaleDown"].map(|direction| behavior.at(direction)) {
        if direction.is_set() {
            rules(&direction, &mut errors);
        }
    }
    errors
}

fn replicas(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let lowest = i64::from(!old.is_some_and(|old| old["minReplicas"] == 0));
    let (min, max) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    if min.number().is_some_and(|min| min < lowest) {
        errors.push(min.invalid(format!("must be greater than or equal to {lowest}")));
    }
    let most = max.number().unwrap_or(0);
    if most == 0 {
        errors.push(max.required("must be set and greater than 0"));
    } else if most < 0 {
        errors.push(max.invalid("must be greater than or equal to 1"));
    }
    if min.number().is_some_and(|min| most < min) {
        errors.push(Error::invalid(&max.path, most, "must be greater than or equal to `minReplicas`"));
    }
}

/// A `CrossVersionObjectReference`.
fn referenced(at: &At<'_>, api: Api, errors: &mut ErrorList) {
    reference::named(at, &["kind", "name"], errors);
    let version = at.at("apiVersion");
    if let Some(why) = api_problem(version.text(), api) {
        errors.push(Error::invalid(&version.path, version.text(), why));
    }
}

fn api_problem(version: &str, api: Api) -> Option<String> {
    if api.any {
        return None;
    }
    if version.matches('/').count() > 1 {
        return Some(format!("unexpected GroupVersion string: {version}"));
    }
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group.is_empty() && !api.core).then(|| "apiVersion must specify API group".to_owned())
}

fn metrics(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let usual = Api { core: true, any: false };
    let objects = old.and_then(|old| old["metrics"].as_array()).into_iter().flatten();
    let mut versions = objects
        .filter(|metric| metric["type"] == "Object" && !metric["object"].is_null())
        .map(|metric| metric["object"]["describedObject"]["apiVersion"].as_str().unwrap_or_default());
    let api = Api { any: versions.any(|version| api_problem(version, usual).is_some()), ..usual };
    let all = spec.at("metrics");
    all.items().for_each(|item| metric::validate(&item, api, errors));
    let outside = all.items().any(|item| ["Object", "External"].contains(&item.at("type").text()));
    if spec.at("minReplicas").number() == Some(0) && !outside {
        let text = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(all.forbidden(text));
    }
}

fn rules(at: &At<'_>, errors: &mut ErrorList) {
    let (window, select, policies) = (at.at("stabilizationWindowSeconds"), at.at("selectPolicy"), at.at("policies"));
    if window.number().is_some_and(|window| window < 0) {
        errors.push(window.invalid("must be greater than or equal to zero"));
    }
    if window.number().is_some_and(|window| window > MAX_WINDOW) {
        errors.push(window.invalid(format!("must be less than or equal to {MAX_WINDOW}")));
    }
    if select.is_set() && !["Disabled", "Max", "Min"].contains(&select.text()) {
        errors.push(select.unsupported(&["Disabled", "Max", "Min"]));
    }
    if policies.is_empty() {
        errors.push(policies.required("must specify at least one Policy"));
    }
    policies.items().for_each(|item| policy(&item, errors));
    let tolerance = at.at("tolerance");
    if Quantity::parse(tolerance.text()).is_ok_and(|quantity| quantity.is_negative()) {
        errors.push(tolerance.invalid("must be greater than or equal to 0"));
    }
}

fn policy(at: &At<'_>, errors: &mut ErrorList) {
    let (kind, value, period) = (at.at("type"), at.at("value"), at.at("periodSeconds"));
    if !["Percent", "Pods"].contains(&kind.text()) {
        errors.push(Error::not_supported(&kind.path, kind.text(), &["Percent", "Pods"]));
    }
    for number in [&value, &period] {
        let amount = number.number().unwrap_or(0);
        if amount <= 0 {
            errors.push(Error::invalid(&number.path, amount, "must be greater than zero"));
        }
    }
    if period.number().is_some_and(|period| period > MAX_PERIOD) {
        errors.push(period.invalid(format!("must be less than or equal to {MAX_PERIOD}")));
    }
}
