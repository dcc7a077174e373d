//! Deletion: finalizers, propagation, collections, preconditions.

use http::Method;
use serde_json::{Value, json};

use crate::server::Api;

const CM: &str = "/api/v1/namespaces/default/configmaps";

async fn create(api: &Api, name: &str, finalizers: Value) -> String {
    api.post(CM, &json!({"metadata": {"name": name, "finalizers": finalizers}})).await.ok();
    format!("{CM}/{name}")
}

#[tokio::test(start_paused = true)]
async fn objects_without_ties_go_at_once() {
    let api = Api::start().await;
    let path = create(&api, "a", json!(null)).await;
    let uid = api.get(&path).await.ok()["metadata"]["uid"].clone();
    let status = api.delete(&path).await.ok();
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "uid": uid}));
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold() {
    let api = Api::start().await;
    let path = create(&api, "a", json!(["x.io/f"])).await;
    let deleting = api.delete(&path).await.ok();
    assert_eq!(deleting["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(deleting["metadata"]["deletionGracePeriodSeconds"], 0);
    // Deleting again changes nothing; adding finalizers is too late.
    assert_eq!(api.delete(&path).await.ok(), deleting);
    let added = api.merge(&path, &json!({"metadata": {"finalizers": ["x.io/f", "x.io/g"]}})).await;
    assert_eq!(added.status, 422);
    assert!(added.json()["message"].as_str().is_some_and(|text| text.contains("no new finalizers can be added")));
    let again = api.post(CM, &json!({"metadata": {"name": "a"}})).await.json();
    assert_eq!(again["message"], r#"object is being deleted: configmaps "a" already exists"#);
    api.merge(&path, &json!({"metadata": {"finalizers": null}})).await.ok();
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn propagation_becomes_a_finalizer() {
    let api = Api::start().await;
    for (policy, finalizer, code) in [("Foreground", "foregroundDeletion", 202), ("Orphan", "orphan", 200)] {
        let path = create(&api, &policy.to_lowercase(), json!(null)).await;
        let answer = api.ask(Method::DELETE, &path, &[], json!({"propagationPolicy": policy}).to_string()).await;
        assert_eq!(answer.status.as_u16(), code, "{policy}");
        assert_eq!(answer.ok()["metadata"]["finalizers"], json!([finalizer]));
    }
    let path = create(&api, "background", json!(null)).await;
    assert_eq!(api.delete(&format!("{path}?propagationPolicy=Background")).await.ok()["status"], "Success");
}

#[tokio::test(start_paused = true)]
async fn collections_go_by_selector() {
    let api = Api::start().await;
    for n in 0..25 {
        let body = json!({"metadata": {"name": format!("m{n}"), "labels": {"odd": (n % 2).to_string()}}});
        api.post(CM, &body).await.ok();
    }
    let deleted = api.delete(&format!("{CM}?labelSelector=odd%3D1")).await.ok();
    assert_eq!(deleted["items"].as_array().map(Vec::len), Some(12));
    assert_eq!(api.get(CM).await.ok()["items"].as_array().map(Vec::len), Some(13));
}

#[tokio::test(start_paused = true)]
async fn dry_runs_delete_nothing() {
    let api = Api::start().await;
    let path = create(&api, "a", json!(null)).await;
    api.delete(&format!("{path}?dryRun=All")).await.ok();
    api.get(&path).await.ok();
    let other = json!({"metadata": {"name": "b"}});
    let created = api.post(&format!("{CM}?dryRun=All"), &other).await.ok();
    assert!(created["metadata"]["uid"].is_string() && created["metadata"]["resourceVersion"].is_null());
    assert_eq!(api.get(&format!("{CM}/b")).await.status, 404);
    let patched = api.merge(&format!("{path}?dryRun=All"), &json!({"data": {"x": "1"}})).await.ok();
    assert_eq!(patched["data"]["x"], "1");
    assert_eq!(api.get(&path).await.ok()["data"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_endless_grace_ends() {
    let api = Api::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let spec = json!({"terminationGracePeriodSeconds": i64::MAX, "nodeName": "n", "containers": [{"name": "c", "image": "i"}]});
    api.post(pods, &json!({"metadata": {"name": "p"}, "spec": spec})).await.ok();
    let deleting = api.delete(&format!("{pods}/p")).await.ok();
    assert_eq!(deleting["metadata"]["deletionGracePeriodSeconds"], i32::MAX);
    let shorter = api.delete(&format!("{pods}/p?gracePeriodSeconds=0")).await;
    assert_eq!(shorter.status, 200);
    let watch = api.get(
        "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=9223372036854775807&resourceVersion=99999999999",
    );
    assert_ne!(watch.await.status, 500);
}
