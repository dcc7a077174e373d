//! Watches.

use serde_json::json;

use crate::server::Api;

const CM: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn events_arrive_in_order() {
    let api = Api::start().await;
    let created = api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let mut watch = api.watch(&format!("{CM}?watch=true")).await;
    let (kind, name, first) = watch.brief().await;
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "a"));
    assert_eq!(created["metadata"]["resourceVersion"], first.to_string());
    api.merge(&format!("{CM}/a"), &json!({"data": {"x": "1"}})).await.ok();
    api.post(CM, &json!({"metadata": {"name": "b"}})).await.ok();
    api.delete(&format!("{CM}/a")).await.ok();
    let mut seen = Vec::new();
    let mut last = first;
    for _ in 0..3 {
        let (kind, name, revision) = watch.brief().await;
        assert!(revision > last);
        last = revision;
        seen.push(format!("{kind} {name}"));
    }
    assert_eq!(seen, ["MODIFIED a", "ADDED b", "DELETED a"]);
    // From a revision: what came after it, and nothing else.
    let mut later = api.watch(&format!("{CM}?watch=1&resourceVersion={first}")).await;
    assert_eq!(later.brief().await.0, "MODIFIED");
}

#[tokio::test(start_paused = true)]
async fn selectors_show_objects_that_come_and_go() {
    let api = Api::start().await;
    let mut watch = api.watch(&format!("{CM}?watch=1&labelSelector=on%3Dyes&resourceVersion=0")).await;
    let path = format!("{CM}/a");
    api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    api.merge(&path, &json!({"metadata": {"labels": {"on": "yes"}}})).await.ok();
    api.merge(&path, &json!({"data": {"x": "1"}})).await.ok();
    api.merge(&path, &json!({"metadata": {"labels": {"on": "no"}}})).await.ok();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = watch.next().await.expect("an event");
        seen.push(format!("{} {}", event["type"].as_str().unwrap_or(""), event["object"]["metadata"]["labels"]["on"]));
    }
    assert_eq!(seen, [r#"ADDED "yes""#, r#"MODIFIED "yes""#, r#"DELETED "yes""#]);
}

#[tokio::test(start_paused = true)]
async fn watch_lists_end_with_a_bookmark() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = api.watch(&format!("{CM}?{query}")).await;
    assert_eq!(watch.brief().await.1, "a");
    let end = watch.next().await.expect("a bookmark");
    assert_eq!((&end["type"], &end["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let revision: u64 =
        end["object"]["metadata"]["resourceVersion"].as_str().and_then(|r| r.parse().ok()).expect("a revision");
    let created = api.post(CM, &json!({"metadata": {"name": "b"}})).await.ok();
    let (kind, _, next) = watch.brief().await;
    assert_eq!((kind.as_str(), json!(next.to_string())), ("ADDED", created["metadata"]["resourceVersion"].clone()));
    assert!(next > revision);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_report_the_progress_of_quiet_watches() {
    let api = Api::start().await;
    let mut watch =
        api.watch(&format!("{CM}?watch=1&resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=90")).await;
    let other = api.post("/api/v1/namespaces/default/secrets", &json!({"metadata": {"name": "s"}})).await.ok();
    let (kind, _, revision) = watch.brief().await;
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(other["metadata"]["resourceVersion"], revision.to_string());
    assert_eq!(watch.brief().await.0, "BOOKMARK", "one more before the end");
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_revision_is_an_error_in_the_stream() {
    let api = Api::start().await;
    let mut watch = api.watch(&format!("{CM}?watch=1&resourceVersion=1")).await;
    let created = api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let event = watch.next().await.expect("an event");
    if event["type"] == "ERROR" {
        assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&json!(410), &json!("Expired")));
        assert_eq!(watch.next().await, None);
    } else {
        assert_eq!(event["object"], created, "nothing was forgotten yet: everything since is shown");
    }
}

#[tokio::test(start_paused = true)]
async fn tables_and_metadata_can_be_watched() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "a"}, "data": {"x": "y"}})).await.ok();
    for (accept, kind) in [("Table", "Table"), ("PartialObjectMetadata", "PartialObjectMetadata")] {
        let accept = format!("application/json;as={accept};v=v1;g=meta.k8s.io");
        let request = http::Request::builder()
            .uri(format!("http://test{CM}?watch=1&timeoutSeconds=1"))
            .header("accept", accept)
            .body(http_body_util::Full::default())
            .expect("a request");
        let body =
            http_body_util::BodyExt::collect(api.send(request).await.into_body()).await.expect("a body").to_bytes();
        let line = body.split(|byte| *byte == b'\n').next().expect("a line");
        let event: serde_json::Value = serde_json::from_slice(line).expect("an event");
        assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!(kind)));
    }
}

#[tokio::test(start_paused = true)]
async fn kube_clients_watch() {
    use futures::StreamExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api as KubeApi, PostParams, WatchEvent, WatchParams};
    let api = Api::start().await;
    let maps: KubeApi<ConfigMap> = KubeApi::namespaced(api.client(), "default");
    let mut events = maps.watch(&WatchParams::default(), "0").await.expect("a watch").boxed();
    let mut map = ConfigMap::default();
    map.metadata.name = Some("typed".to_owned());
    maps.create(&PostParams::default(), &map).await.expect("a config map");
    let Some(Ok(WatchEvent::Added(seen))) = events.next().await else { panic!("no event") };
    assert_eq!(seen.metadata.name.as_deref(), Some("typed"));
}
