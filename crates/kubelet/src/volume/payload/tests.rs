//! Tables of volume contents.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodStatus, Secret};
use serde_json::{Value, json};

use super::*;
use crate::container::references::References;

fn build(volume: Value) -> Result<Option<Payload>, Error> {
    let map: ConfigMap = serde_json::from_value(json!({"data": {"a": "1"}, "binaryData": {"b": "AAE="}})).unwrap();
    let secret: Secret = serde_json::from_value(json!({"data": {"word": "aHVzaA=="}})).unwrap();
    let references = References {
        config_maps: BTreeMap::from([("cm".to_owned(), Arc::new(map))]),
        secrets: BTreeMap::from([("s".to_owned(), Arc::new(secret))]),
        ..Default::default()
    };
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "labels": {"x": "y"}},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}], "securityContext": {"runAsUser": 7}}
    }))
    .unwrap();
    let tokens = BTreeMap::from([(TokenKey { audience: "api".into(), seconds: 600 }, "tok".to_owned())]);
    let (status, allocatable) = (PodStatus::default(), BTreeMap::new());
    let env = env::Sources { pod: &pod, status: &status, references: &references, allocatable: &allocatable };
    let mut volume = volume;
    volume["name"] = json!("v");
    payload(&serde_json::from_value(volume).unwrap(), Sources { env, tokens: &tokens })
}

fn check(volume: Value, expected: &[(&str, &[u8], u32)]) {
    let got = build(volume).unwrap().unwrap();
    let got: Vec<_> = got.iter().map(|(path, file)| (path.as_str(), file.data.as_slice(), file.mode)).collect();
    assert_eq!(got, expected);
}

fn check_error(volume: Value, expected: &str) {
    assert_eq!(build(volume).unwrap_err().to_string(), expected);
}

#[test]
fn config_maps_and_secrets() {
    check(json!({"configMap": {"name": "cm"}}), &[("a", b"1", 0o644), ("b", &[0, 1], 0o644)]);
    let items = json!([{"key": "a", "path": "x/y", "mode": 0o400}]);
    check(json!({"configMap": {"name": "cm", "items": items, "defaultMode": 0o600}}), &[("x/y", b"1", 0o400)]);
    check(json!({"secret": {"secretName": "s", "defaultMode": 0o440}}), &[("word", b"hush", 0o440)]);
    check(json!({"secret": {"secretName": "none", "optional": true}}), &[]);
    check_error(json!({"secret": {"secretName": "none"}}), "secret \"none\" not found");
    check_error(json!({"configMap": {"name": "none"}}), "configmap \"none\" not found");
    let items = json!([{"key": "none", "path": "x"}]);
    check_error(
        json!({"configMap": {"name": "cm", "items": items}}),
        "configmap references non-existent config key: none",
    );
    check(json!({"configMap": {"name": "cm", "items": items, "optional": true}}), &[]);
    let items = json!([{"key": "a", "path": "../x"}]);
    check_error(json!({"configMap": {"name": "cm", "items": items}}), "invalid path \"../x\"");
}

#[test]
fn projections() {
    let sources = json!([
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "s"}},
        {"downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}}]}},
        {"serviceAccountToken": {"audience": "api", "expirationSeconds": 600, "path": "token"}}
    ]);
    check(
        json!({"projected": {"sources": sources, "defaultMode": 0o444}}),
        &[
            ("a", b"1", 0o444),
            ("cpu", b"2", 0o444),
            ("labels", b"x=\"y\"", 0o444),
            ("token", b"tok", 0o600),
            ("word", b"hush", 0o444),
        ],
    );
    let other = json!([{"serviceAccountToken": {"audience": "other", "path": "t"}}]);
    check_error(json!({"projected": {"sources": other}}), "no token for audience \"other\" yet");
}

#[test]
fn others_have_no_content() {
    assert_eq!(build(json!({"emptyDir": {}})).unwrap(), None);
}
