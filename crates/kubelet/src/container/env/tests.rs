//! Tables of environments.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use serde_json::{Value, json};

use super::*;

fn references() -> References {
    let map: ConfigMap = serde_json::from_value(json!({"data": {"colour": "red", "bad=key": "x"}})).unwrap();
    let secret: Secret = serde_json::from_value(json!({"data": {"word": "aHVzaA=="}})).unwrap();
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "kubernetes"}, "spec": {"clusterIP": "10.43.0.1", "ports": [{"name": "https", "port": 443}]}
    }))
    .unwrap();
    References {
        config_maps: BTreeMap::from([("paint".to_owned(), Arc::new(map))]),
        secrets: BTreeMap::from([("pass".to_owned(), Arc::new(secret))]),
        services: Vec::new(),
        api: Some(Arc::new(service)),
    }
}

fn build(container: Value) -> Result<Vec<(String, String)>, Error> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": []}
    }))
    .unwrap();
    let container: Container = serde_json::from_value(container).unwrap();
    let (references, allocatable) = (references(), BTreeMap::new());
    let status = PodStatus { pod_ip: Some("10.42.0.3".into()), ..Default::default() };
    environment(Sources { pod: &pod, status: &status, references: &references, allocatable: &allocatable }, &container)
}

fn check(container: Value, expected: &[(&str, &str)]) {
    let got = build(container).unwrap();
    let own: Vec<_> = got
        .iter()
        .filter(|(name, _)| !name.starts_with("KUBERNETES_"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(own, expected);
}

fn check_error(container: Value, expected: &str) {
    assert_eq!(build(container).unwrap_err().to_string(), expected);
}

#[test]
fn the_api_is_always_announced() {
    let got = build(json!({"name": "c"})).unwrap();
    assert!(got.contains(&("KUBERNETES_SERVICE_HOST".into(), "10.43.0.1".into())), "{got:?}");
    assert!(got.contains(&("KUBERNETES_PORT_443_TCP_PROTO".into(), "tcp".into())), "{got:?}");
}

#[test]
fn values_expand_what_stands_before_them() {
    check(
        json!({"name": "c", "env": [
            {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$(KUBERNETES_SERVICE_PORT)"},
            {"name": "C", "value": "3"}, {"name": "A", "value": "$(A)0"}, {"name": "EMPTY"}
        ]}),
        &[("A", "10"), ("B", "1$(C)443"), ("C", "3"), ("EMPTY", "")],
    );
}

#[test]
fn whole_sets_come_first_and_give_way() {
    check(
        json!({"name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "paint"}}, {"secretRef": {"name": "pass"}},
                        {"configMapRef": {"name": "none", "optional": true}}],
            "env": [{"name": "P_colour", "value": "blue"}]}),
        &[("P_colour", "blue"), ("word", "hush")],
    );
}

#[test]
fn sources() {
    let from = |source: Value| json!({"name": "c", "env": [{"name": "X", "valueFrom": source}]});
    check(from(json!({"fieldRef": {"fieldPath": "status.podIP"}})), &[("X", "10.42.0.3")]);
    check(from(json!({"configMapKeyRef": {"name": "paint", "key": "colour"}})), &[("X", "red")]);
    check(from(json!({"secretKeyRef": {"name": "pass", "key": "word"}})), &[("X", "hush")]);
    check(from(json!({"secretKeyRef": {"name": "pass", "key": "none", "optional": true}})), &[]);
    check(from(json!({"configMapKeyRef": {"name": "none", "key": "k", "optional": true}})), &[]);
    check(from(json!({"resourceFieldRef": {"resource": "requests.cpu"}})), &[("X", "0")]);
    check_error(from(json!({"configMapKeyRef": {"name": "none", "key": "k"}})), "configmap \"none\" not found");
    check_error(from(json!({"secretKeyRef": {"name": "none", "key": "k"}})), "secret \"none\" not found");
    check_error(from(json!({"secretKeyRef": {"name": "pass", "key": "k"}})), "couldn't find key k in Secret ns/pass");
    check_error(json!({"name": "c", "envFrom": [{"secretRef": {"name": "none"}}]}), "secret \"none\" not found");
}
