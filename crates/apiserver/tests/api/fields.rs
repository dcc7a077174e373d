//! Field selectors: every field by which objects can be chosen, and the refusal of all others.

use serde_json::{Value, json};

use crate::server::Api;

/// What is said of fields of types that have none of their own.
const KNOWN: &str = "is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";

/// Creates objects, with their status where they have one.
async fn create(api: &Api, collection: &str, objects: &[Value]) {
    for object in objects {
        let mut created = api.post(collection, object).await.ok();
        if object["status"].is_object() {
            created["status"] = object["status"].clone();
            let path = format!("{collection}/{}/status", object::meta::name(&created));
            api.put(&path, &created).await.ok();
        }
    }
}

/// Lists and watches by each selector, which must give the objects that are named.
async fn check(collection: &str, objects: &[Value], cases: &[(&str, &[&str])]) {
    let api = Api::start().await;
    create(&api, collection, objects).await;
    for (selector, expected) in cases {
        let query = selector.replace('=', "%3D").replace(',', "%2C");
        let list = api.get(&format!("{collection}?fieldSelector={query}")).await.ok();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = items.iter().map(object::meta::name).collect();
        assert_eq!(names, *expected, "{collection} {selector}");
        let path = format!("{collection}?watch=1&resourceVersion=0&timeoutSeconds=1&fieldSelector={query}");
        let mut watch = api.watch(&path).await;
        let mut watched = Vec::new();
        while let Some(event) = watch.next().await {
            assert_eq!(event["type"], "ADDED", "{collection} {selector}");
            watched.push(object::meta::name(&event["object"]).to_owned());
        }
        watched.sort();
        assert_eq!(watched, *expected, "watch {collection} {selector}");
    }
}

fn named(name: &str, fields: Value) -> Value {
    let mut object = fields;
    object["metadata"]["name"] = name.into();
    object
}

#[tokio::test(start_paused = true)]
async fn pods() {
    let pod = |name: &str, spec: Value, status: Value| {
        let mut spec = spec;
        spec["containers"] = json!([{"name": "c", "image": "i"}]);
        named(name, json!({"spec": spec, "status": status}))
    };
    let one = json!({"nodeName": "n", "restartPolicy": "Never", "schedulerName": "s", "serviceAccountName": "a", "hostNetwork": true});
    let ip = json!({"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]});
    let objects = [pod("a", one, ip), pod("b", json!({}), json!({"phase": "Pending", "nominatedNodeName": "m"}))];
    check(
        "/api/v1/namespaces/default/pods",
        &objects,
        &[
            ("metadata.name=a", &["a"]),
            ("metadata.namespace=default", &["a", "b"]),
            ("metadata.namespace=other", &[]),
            ("spec.nodeName=n", &["a"]),
            ("spec.nodeName=", &["b"]),
            ("spec.host=n", &["a"]),
            ("spec.restartPolicy=Always", &["b"]),
            ("spec.schedulerName=s", &["a"]),
            ("spec.serviceAccountName=a", &["a"]),
            ("spec.hostNetwork=false", &["b"]),
            ("status.phase=Running", &["a"]),
            ("status.phase!=Running,spec.nodeName!=n", &["b"]),
            ("status.podIP=10.0.0.1", &["a"]),
            ("status.nominatedNodeName=m", &["b"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn other_core_kinds() {
    let nodes = [named("a", json!({"spec": {"unschedulable": true}})), named("b", json!({}))];
    check("/api/v1/nodes", &nodes, &[("spec.unschedulable=true", &["a"]), ("spec.unschedulable=false", &["b"])]).await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let set = |name: &str, replicas: u32| {
        named(name, json!({"spec": {"selector": {"a": "b"}, "template": template}, "status": {"replicas": replicas}}))
    };
    let cases: &[(&str, &[&str])] = &[("status.replicas=2", &["a"]), ("status.replicas=0", &["b"])];
    check("/api/v1/namespaces/default/replicationcontrollers", &[set("a", 2), set("b", 0)], cases).await;
    let secrets = [named("a", json!({"type": "x.io/y"})), named("b", json!({}))];
    let cases: &[(&str, &[&str])] = &[("type=x.io/y", &["a"]), ("type=Opaque", &["b"])];
    check("/api/v1/namespaces/default/secrets", &secrets, cases).await;
    let services = [
        named("a", json!({"spec": {"clusterIP": "10.43.0.77", "ports": [{"port": 80}]}})),
        named("b", json!({"spec": {"type": "ExternalName", "externalName": "x.io"}})),
    ];
    let cases: &[(&str, &[&str])] = &[("spec.clusterIP=10.43.0.77", &["a"]), ("spec.type=ExternalName", &["b"])];
    check("/api/v1/namespaces/default/services", &services, cases).await;
    let namespaces = [named("a", json!({}))];
    check(
        "/api/v1/namespaces",
        &namespaces,
        &[("status.phase=Active,metadata.name=a", &["a"]), ("status.phase=Terminating", &[])],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn events_in_both_groups() {
    let event = |name: &str| {
        let subject = json!({"kind": "Pod", "namespace": "default", "name": name, "uid": format!("u{name}"),
            "apiVersion": "v1", "resourceVersion": "7", "fieldPath": format!("spec.{name}")});
        named(
            name,
            json!({"involvedObject": subject, "reason": format!("R{name}"), "type": "Normal", "action": "x",
            "reportingComponent": format!("x.io/{name}"), "reportingInstance": "i", "source": {"component": format!("s{name}")},
            "eventTime": "2026-01-01T00:00:00.000000Z"}),
        )
    };
    let mut anonymous = event("c");
    anonymous["source"] = json!({});
    let objects = [event("a"), event("b"), anonymous];
    check(
        "/api/v1/namespaces/default/events",
        &objects,
        &[
            ("involvedObject.kind=Pod", &["a", "b", "c"]),
            ("involvedObject.namespace=default,involvedObject.name=a", &["a"]),
            ("involvedObject.uid=ub", &["b"]),
            ("involvedObject.apiVersion=v2", &[]),
            ("involvedObject.resourceVersion=7", &["a", "b", "c"]),
            ("involvedObject.fieldPath=spec.a", &["a"]),
            ("reason=Ra", &["a"]),
            ("reportingComponent=x.io/b", &["b"]),
            ("source=sa", &["a"]),
            ("source=x.io/c", &["c"]),
            ("type=Warning", &[]),
        ],
    )
    .await;
    let api = Api::start().await;
    create(&api, "/api/v1/namespaces/default/events", &objects).await;
    for (selector, expected) in [
        ("regarding.kind=Pod", 3),
        ("regarding.namespace=default,regarding.name=a", 1),
        ("regarding.uid=ub,regarding.apiVersion=v1", 1),
        ("regarding.resourceVersion=8", 0),
        ("regarding.fieldPath=spec.a", 1),
        ("reportingController=x.io/b", 1),
        ("reason=Ra,type=Normal", 1),
    ] {
        let query = selector.replace('=', "%3D").replace(',', "%2C");
        let list = api.get(&format!("/apis/events.k8s.io/v1/events?fieldSelector={query}")).await.ok();
        assert_eq!(list["items"].as_array().map_or(0, Vec::len), expected, "{selector}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_groups() {
    let job = |name: &str, succeeded: u32| {
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]});
        named(name, json!({"spec": {"template": {"spec": pod}}, "status": {"succeeded": succeeded}}))
    };
    let cases: &[(&str, &[&str])] = &[("status.successful=1", &["a"]), ("status.successful=0", &["b"])];
    check("/apis/batch/v1/namespaces/default/jobs", &[job("a", 1), job("b", 0)], cases).await;
    let slice = |name: &str, node: &str, driver: &str| {
        let pool = json!({"name": "p", "resourceSliceCount": 1});
        named(name, json!({"spec": {"driver": driver, "nodeName": node, "pool": pool}}))
    };
    let cases: &[(&str, &[&str])] = &[("spec.nodeName=n", &["a"]), ("spec.driver=e", &["b"])];
    for version in ["v1", "v1beta2", "v1beta1"] {
        let collection = format!("/apis/resource.k8s.io/{version}/resourceslices");
        check(&collection, &[slice("a", "n", "d"), slice("b", "m", "e")], cases).await;
    }
    let maps = [named("a", json!({}))];
    let cases: &[(&str, &[&str])] =
        &[("metadata.name=a,metadata.namespace=default", &["a"]), ("metadata.name!=a", &[])];
    check("/api/v1/namespaces/default/configmaps", &maps, cases).await;
    let roles = [named("a", json!({}))];
    let cases: &[(&str, &[&str])] = &[("metadata.namespace=x", &[]), ("metadata.namespace=", &["a"])];
    check("/apis/rbac.authorization.k8s.io/v1/clusterroles", &roles, cases).await;
}

#[tokio::test(start_paused = true)]
async fn other_fields_are_refused_in_upstreams_words() {
    let api = Api::start().await;
    for (path, field, expected) in [
        ("/api/v1/pods", "a", "field label not supported: a".to_owned()),
        ("/api/v1/nodes", "metadata.namespace", "field label not supported: metadata.namespace".to_owned()),
        ("/api/v1/configmaps", "a", format!("\"a\" {KNOWN}")),
        ("/apis/apps/v1/replicasets", "status.replicas", format!("\"status.replicas\" {KNOWN}")),
        ("/apis/networking.k8s.io/v1/ipaddresses", "spec.parentRef.name", format!("\"spec.parentRef.name\" {KNOWN}")),
        ("/apis/batch/v1/jobs", "a", "field label \"a\" not supported for Job".to_owned()),
        (
            "/apis/events.k8s.io/v1/events",
            "involvedObject.kind",
            "field label not supported: involvedObject.kind".to_owned(),
        ),
        (
            "/apis/resource.k8s.io/v1beta1/resourceslices",
            "a",
            "field label not supported for resource.k8s.io/v1beta1, Kind=ResourceSlice: a".to_owned(),
        ),
    ] {
        for watch in ["", "&watch=1"] {
            let answer = api.get(&format!("{path}?fieldSelector={field}%3Db{watch}")).await;
            assert_eq!((answer.status.as_u16(), answer.json()["message"].as_str()), (400, Some(&*expected)), "{path}");
        }
    }
}
