//! Creates, updates and patches.

use http::Method;
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use serde_json::{Value, json};

use crate::server::Api;

const CM: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn the_server_fills_in_metadata() {
    let api = Api::start().await;
    let body =
        json!({"metadata": {"generateName": "gen-", "uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z"}});
    let created = api.post(CM, &body).await.ok();
    let metadata = &created["metadata"];
    let name = metadata["name"].as_str().expect("a name");
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert!(metadata["uid"].as_str().is_some_and(|uid| uid.len() == 36));
    assert_eq!((&created["kind"], &created["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_writes_nothing() {
    let api = Api::start().await;
    let created = api.post(CM, &json!({"metadata": {"name": "a"}, "data": {"x": "1"}})).await.ok();
    let path = format!("{CM}/a");
    assert_eq!(api.put(&path, &created).await.ok(), created);
    assert_eq!(api.merge(&path, &json!({"data": {"x": "1"}})).await.ok(), created);
    let mut changed = created.clone();
    changed["data"]["x"] = "2".into();
    let updated = api.put(&path, &changed).await.ok();
    assert_ne!(updated["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    assert_eq!(api.put(&path, &changed).await.status, 409, "based on an old state");
    changed["metadata"]["resourceVersion"] = Value::Null;
    changed["data"]["x"] = "3".into();
    assert_eq!(api.put(&path, &changed).await.ok()["data"]["x"], "3", "unconditional");
}

#[tokio::test(start_paused = true)]
async fn patches_of_all_kinds() {
    let api = Api::start().await;
    api.post(DEPLOYMENTS, &deployment("d")).await.ok();
    let path = format!("{DEPLOYMENTS}/d");
    let json_patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 5}]);
    let media = [("content-type", "application/json-patch+json")];
    let patched = api.ask(Method::PATCH, &path, &media, json_patch.to_string()).await.ok();
    assert_eq!(patched["spec"]["replicas"], 5);
    let untrue = json!([{"op": "test", "path": "/spec/replicas", "value": 6}]);
    let refused = api.ask(Method::PATCH, &path, &media, untrue.to_string()).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["details"]), (422, &json!({})), "clients show the message");
    let strategic = json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}});
    let media = [("content-type", "application/strategic-merge-patch+json")];
    let patched = api.ask(Method::PATCH, &path, &media, strategic.to_string()).await.ok();
    let containers = patched["spec"]["template"]["spec"]["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 2);
    let merge = json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}});
    let patched = api.merge(&path, &merge).await.ok();
    assert_eq!(patched["spec"]["template"]["spec"]["containers"].as_array().map(Vec::len), Some(1));
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}});
    assert_eq!(api.merge(&path, &stale).await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn status_is_written_apart() {
    let api = Api::start().await;
    let mut body = deployment("d");
    body["status"] = json!({"replicas": 7});
    let created = api.post(DEPLOYMENTS, &body).await.ok();
    assert_eq!(created["status"]["replicas"], Value::Null);
    assert_eq!(created["metadata"]["generation"], 1);
    let path = format!("{DEPLOYMENTS}/d");
    let both = json!({"spec": {"replicas": 9}, "status": {"replicas": 3}});
    let status = api.merge(&format!("{path}/status"), &both).await.ok();
    assert_eq!((&status["spec"]["replicas"], &status["status"]["replicas"]), (&json!(2), &json!(3)));
    assert_eq!(status["metadata"]["generation"], 1);
    let spec = api.merge(&path, &both).await.ok();
    assert_eq!((&spec["spec"]["replicas"], &spec["status"]["replicas"]), (&json!(9), &json!(3)));
    assert_eq!(spec["metadata"]["generation"], 2);
    let managers: Vec<_> = spec["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry["subresource"].as_str().unwrap_or(""))
        .collect();
    assert!(managers.contains(&"") && managers.contains(&"status"), "{spec}");
}

#[tokio::test(start_paused = true)]
async fn scales_are_read_and_written() {
    let api = Api::start().await;
    api.post(DEPLOYMENTS, &deployment("d")).await.ok();
    let path = format!("{DEPLOYMENTS}/d/scale");
    let mut scale = api.get(&path).await.ok();
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(2), &json!("app=a")));
    scale["spec"]["replicas"] = 4.into();
    assert_eq!(api.put(&path, &scale).await.ok()["spec"]["replicas"], 4);
    assert_eq!(api.put(&path, &scale).await.status, 409, "based on an old state");
    assert_eq!(api.merge(&path, &json!({"spec": {"replicas": 6}})).await.ok()["spec"]["replicas"], 6);
    assert_eq!(api.merge(&path, &json!({"spec": {"replicas": -1}})).await.status, 422);
    assert_eq!(api.get(&format!("{DEPLOYMENTS}/d")).await.ok()["spec"]["replicas"], 6);
}

#[tokio::test(start_paused = true)]
async fn leases_come_into_being_by_put() {
    let api = Api::start().await;
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let answer = api.put(path, &json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "h"}})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn concurrent_patches_all_count() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let path = format!("{CM}/a");
    let patches = (0..20).map(|n| {
        let (api, path) = (&api, &path);
        async move { api.merge(path, &json!({"data": {format!("k{n}"): "v"}})).await.ok() }
    });
    futures::future::join_all(patches).await;
    assert_eq!(api.get(&path).await.ok()["data"].as_object().map(|data| data.len()), Some(20));
}

#[tokio::test(start_paused = true)]
async fn two_versions_are_one_object() {
    let api = Api::start().await;
    let base = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
    let body = json!({"metadata": {"name": "h"}, "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
    }});
    let created = api.post(base, &body).await.ok();
    assert_eq!(
        (&created["apiVersion"], &created["spec"]["targetCPUUtilizationPercentage"]),
        (&json!("autoscaling/v1"), &json!(50))
    );
    let path = format!("{base}/h");
    let other = path.replace("/v1/", "/v2/");
    let second = api.get(&other).await.ok();
    assert_eq!(second["apiVersion"], "autoscaling/v2");
    assert_eq!(second["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    let mut changed = second.clone();
    changed["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] = 70.into();
    api.put(&other, &changed).await.ok();
    assert_eq!(api.get(&path).await.ok()["spec"]["targetCPUUtilizationPercentage"], 70);
    let typed: kube::Api<HorizontalPodAutoscaler> = kube::Api::namespaced(api.client(), "default");
    assert_eq!(typed.list(&Default::default()).await.expect("a list").items.len(), 1);
    let mut watch = api.watch(&format!("{base}?watch=1")).await;
    assert_eq!(watch.next().await.expect("an event")["object"]["apiVersion"], "autoscaling/v1");
}

#[tokio::test(start_paused = true)]
async fn pods_are_bound_once() {
    let api = Api::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    for name in ["p", "q"] {
        api.post(pods, &json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))
            .await
            .ok();
    }
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    assert_eq!(api.post(&format!("{pods}/p/binding"), &binding).await.ok()["status"], "Success");
    assert_eq!(api.post(&format!("{pods}/p/binding"), &binding).await.status, 409);
    let legacy = json!({"metadata": {"name": "q"}, "target": {"name": "n2"}});
    api.post("/api/v1/namespaces/default/bindings", &legacy).await.ok();
    let bound = api.get(&format!("{pods}?fieldSelector=spec.nodeName%3Dn2")).await.ok();
    assert_eq!(bound["items"][0]["metadata"]["name"], "q");
    assert_eq!(bound["items"][0]["status"]["conditions"][0]["type"], "PodScheduled");
    let nothing = json!({"metadata": {"name": "p"}, "target": {}});
    assert_eq!(api.post(&format!("{pods}/p/binding"), &nothing).await.status, 422);
    assert_eq!(api.post(&format!("{pods}/q/eviction"), &json!({"metadata": {"name": "q"}})).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn run_time_types_share_the_path() {
    let api = Api::start().await;
    let table = schema::Table::builtin().snapshot();
    let mut row = (**table.row("", "configmaps").expect("a row")).clone();
    row.group = "rows.test".into();
    row.kind = "Widget".into();
    row.list_kind = "WidgetList".into();
    row.plural = "widgets".into();
    row.singular = "widget".into();
    row.short_names = vec!["wd".into()];
    row.storage_prefix = "/registry/rows.test/widgets".into();
    row.custom = true;
    let base = "/apis/rows.test/v1/namespaces/default/widgets";
    assert_eq!(api.get(base).await.status, 404);
    api.handle.objects().register(row.clone()).await.expect("a new type");
    let created = api.post(base, &json!({"metadata": {"name": "w"}, "data": {"a": "b"}})).await.ok();
    assert_eq!((&created["apiVersion"], &created["kind"]), (&json!("rows.test/v1"), &json!("Widget")));
    let mut watch = api.watch(&format!("{base}?watch=1")).await;
    assert_eq!(watch.brief().await.1, "w");
    let patched = api.merge(&format!("{base}/w"), &json!({"data": {"c": "d"}})).await.ok();
    assert_eq!(patched["data"], json!({"a": "b", "c": "d"}));
    assert_eq!(watch.brief().await.0, "MODIFIED");
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    assert_eq!(api.ask(Method::PATCH, &format!("{base}/w"), &strategic, "{}").await.status, 415);
    let found = api.get("/apis/rows.test/v1").await.ok();
    assert_eq!(found["resources"][0]["name"], "widgets");
    assert!(api.handle.objects().unregister("rows.test", "widgets"));
    assert_eq!(api.get(base).await.status, 404);
    // The objects are still in the store, and are seen again by whoever serves the type again.
    api.handle.objects().register(row).await.expect("the type again");
    assert_eq!(api.get(&format!("{base}/w")).await.ok()["data"]["a"], "b");
}
