//! Quality of service classes, from requests and limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;

/// A pod's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// The class that the API recorded, else the one that the spec gives.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let recorded = pod.status.as_ref().and_then(|status| status.qos_class.as_deref());
        match recorded {
            Some("Guaranteed") => Self::Guaranteed,
            Some("Burstable") => Self::Burstable,
            Some("BestEffort") => Self::BestEffort,
            _ => computed(pod),
        }
    }
}

fn computed(pod: &Pod) -> Qos {
    let Some(spec) = &pod.spec else { return Qos::BestEffort };
    let all: Vec<Option<&ResourceRequirements>> = match &spec.resources {
        Some(resources) => vec![Some(resources)],
        None => containers(pod).map(|container| container.resources.as_ref()).collect(),
    };
    if all.iter().all(|resources| !resources.is_some_and(asks)) {
        return Qos::BestEffort;
    }
    match all.iter().all(|resources| resources.is_some_and(guaranteed)) {
        true => Qos::Guaranteed,
        false => Qos::Burstable,
    }
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
}

type Resources = Option<BTreeMap<String, Quantity>>;

fn amount(resources: &Resources, name: &str) -> i64 {
    resources.as_ref().and_then(|map| map.get(name)).and_then(quantity::milli).unwrap_or(0)
}

fn asks(resources: &ResourceRequirements) -> bool {
    ["cpu", "memory"].iter().any(|name| amount(&resources.requests, name) > 0 || amount(&resources.limits, name) > 0)
}

fn guaranteed(resources: &ResourceRequirements) -> bool {
    ["cpu", "memory"].iter().all(|name| {
        let limit = amount(&resources.limits, name);
        let requested = resources.requests.as_ref().is_some_and(|map| map.contains_key(*name));
        limit > 0 && (!requested || amount(&resources.requests, name) == limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(resources: serde_json::Value, expected: Qos) {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a", "resources": resources}]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(Qos::of(&pod), expected, "{pod:?}");
    }

    #[test]
    fn classes() {
        check(json!({}), Qos::BestEffort);
        check(json!({"requests": {"cpu": "0"}}), Qos::BestEffort);
        check(json!({"requests": {"cpu": "100m"}}), Qos::Burstable);
        check(json!({"limits": {"cpu": "1", "memory": "1Gi"}}), Qos::Guaranteed);
        check(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}}), Qos::Guaranteed);
        check(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), Qos::Burstable);
        check(json!({"limits": {"cpu": "1"}}), Qos::Burstable);
        check(json!({"limits": {"example.com/gpu": "1"}}), Qos::BestEffort);
    }
}
