//! Discovery, OpenAPI, version, health, metrics, and the objects that every cluster has.

use http::Method;
use serde_json::{Value, json};

use crate::server::Api;

#[tokio::test(start_paused = true)]
async fn both_forms_of_discovery() {
    let api = Api::start().await;
    assert_eq!(api.get("/api").await.ok()["versions"], json!(["v1"]));
    let groups = api.get("/apis").await.ok();
    assert!(groups["groups"].as_array().is_some_and(|groups| groups.iter().any(|group| group["name"] == "apps")));
    let pods = api.get("/api/v1").await.ok();
    let resources = pods["resources"].as_array().expect("resources");
    assert!(resources.iter().any(|resource| resource["name"] == "pods/log"));
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let first = api.ask(Method::GET, "/apis", &[("accept", accept)], "").await;
    assert_eq!(first.ok()["kind"], "APIGroupDiscoveryList");
    assert!(first.header("content-type").contains("as=APIGroupDiscoveryList"));
    let etag = first.header("etag").to_owned();
    let again = api.ask(Method::GET, "/apis", &[("accept", accept), ("if-none-match", &etag)], "").await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    assert_eq!(api.get("/apis/apps").await.ok()["preferredVersion"]["version"], "v1");
    assert_eq!(api.get("/apis/none").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn the_version_is_kubernetes() {
    let api = Api::start().await;
    let version = api.client().apiserver_version().await.expect("a version");
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    assert!(version.git_version.starts_with("v1.36.0+coracle-"), "{}", version.git_version);
}

#[tokio::test(start_paused = true)]
async fn health_has_names() {
    let api = Api::start().await;
    for path in ["/livez", "/readyz", "/healthz", "/livez/ping", "/readyz/informer-sync"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status.as_u16(), &answer.bytes[..]), (200, &b"ok"[..]), "{path}");
    }
    let verbose = api.get("/readyz?verbose&exclude=etcd").await;
    let text = String::from_utf8_lossy(&verbose.bytes).into_owned();
    assert!(text.starts_with("[+]ping ok\n") && text.ends_with("readyz check passed\n"), "{text}");
    assert!(text.contains("[+]etcd excluded: ok\n") && text.contains("[+]shutdown ok\n"), "{text}");
    assert_eq!(api.get("/livez/none").await.status, 404);
    let metrics = api.get("/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.bytes).contains("apiserver_request_total{"));
}

#[tokio::test(start_paused = true)]
async fn every_cluster_has_these() {
    let api = Api::start().await;
    let namespaces = api.get("/api/v1/namespaces").await.ok();
    let names: Vec<&Value> =
        namespaces["items"].as_array().into_iter().flatten().map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let service = api.get("/api/v1/namespaces/default/services/kubernetes").await.ok();
    assert_eq!(service["spec"]["clusterIP"], "10.43.0.1");
    let endpoints = "/api/v1/namespaces/default/endpoints/kubernetes";
    assert_eq!(api.get(endpoints).await.ok()["subsets"][0]["addresses"][0]["ip"], "10.42.0.1");
    let slice = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").await.ok();
    assert_eq!(slice["endpoints"][0]["addresses"], json!(["10.42.0.1"]));
    let class = api.get("/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical").await.ok();
    assert_eq!(class["value"], 2_000_001_000);
    assert_eq!(
        api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").await.ok()["spec"]["cidrs"],
        json!(["10.43.0.0/16"])
    );
    // Whoever deletes what the server keeps sees it come back.
    let mut watch = api.watch("/api/v1/namespaces/default/endpoints?watch=1").await;
    assert_eq!(watch.brief().await.0, "ADDED");
    api.delete(endpoints).await.ok();
    assert_eq!(watch.brief().await.0, "DELETED");
    assert_eq!(watch.brief().await.0, "ADDED");
}
