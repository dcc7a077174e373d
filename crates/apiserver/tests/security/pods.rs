//! What admission makes of pods, nodes and namespaces.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{As, Cluster};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let secrets = json!([{ "name": "registry" }]);
    cluster.create(accounts, json!({ "metadata": { "name": "default" }, "imagePullSecrets": secrets })).await;
    let declining = json!({ "metadata": { "name": "quiet" }, "automountServiceAccountToken": false });
    cluster.create(accounts, declining).await;
    cluster
}

#[tokio::test]
async fn pods_get_an_account_a_token_and_tolerations() {
    let cluster = cluster().await;
    let made = cluster.create(PODS, pod("p", json!({}))).await;
    let spec = &made["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["serviceAccount"]), (&json!("default"), &json!("default")));
    assert_eq!(spec["imagePullSecrets"], json!([{ "name": "registry" }]));
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(0), &json!("PreemptLowerPriority")));
    let keys: Vec<&str> = spec["tolerations"].as_array().unwrap().iter().filter_map(|t| t["key"].as_str()).collect();
    assert_eq!(keys, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    assert_eq!(spec["tolerations"][0]["tolerationSeconds"], 300);
    let volume = &spec["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let sources = volume["projected"]["sources"].as_array().unwrap();
    assert_eq!(sources[0]["serviceAccountToken"], json!({ "expirationSeconds": 3607, "path": "token" }));
    assert_eq!(sources[1]["configMap"]["name"], "kube-root-ca.crt");
    assert_eq!(sources[2]["downwardAPI"]["items"][0]["path"], "namespace");
    let mount = json!({ "name": name, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" });
    assert_eq!(spec["containers"][0]["volumeMounts"], json!([mount]));
}

#[tokio::test]
async fn pods_may_decline_and_mistakes_are_refused() {
    let cluster = cluster().await;
    let quiet = cluster.create(PODS, pod("a", json!({ "serviceAccountName": "quiet" }))).await;
    assert!(quiet["spec"]["volumes"].is_null(), "{quiet}");
    let own = cluster.create(PODS, pod("b", json!({ "automountServiceAccountToken": false }))).await;
    assert!(own["spec"]["volumes"].is_null(), "{own}");
    let refused = async |name: &str, spec: Value, expected: &str| {
        let (status, answer) = cluster.post(As::Admin, PODS, pod(name, spec)).await;
        assert_eq!((status, answer["message"].as_str()), (403, Some(expected)));
    };
    let unknown =
        r#"pods "c" is forbidden: error looking up service account default/none: serviceaccount "none" not found"#;
    refused("c", json!({ "serviceAccountName": "none" }), unknown).await;
    let class = r#"pods "d" is forbidden: no PriorityClass with name none was found"#;
    refused("d", json!({ "priorityClassName": "none" }), class).await;
    let number = r#"pods "e" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name"#;
    refused("e", json!({ "priority": 7 }), number).await;
}

#[tokio::test]
async fn classes_give_priorities_and_one_is_the_default() {
    let cluster = cluster().await;
    let critical = cluster.create(PODS, pod("a", json!({ "priorityClassName": "system-node-critical" }))).await;
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let class = |name: &str| json!({ "metadata": { "name": name }, "value": 9, "globalDefault": true, "preemptionPolicy": "Never" });
    cluster.create(classes, class("nine")).await;
    let plain = cluster.create(PODS, pod("b", json!({}))).await;
    let spec = &plain["spec"];
    assert_eq!(spec["priorityClassName"], "nine");
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(9), &json!("Never")));
    let (status, answer) = cluster.post(As::Admin, classes, class("other")).await;
    assert_eq!(status, 403);
    assert!(
        answer["message"].as_str().unwrap().contains("PriorityClass nine is already marked as default"),
        "{answer}"
    );
}

#[tokio::test]
async fn namespaces_must_be_there_and_some_stay() {
    let cluster = cluster().await;
    let (status, answer) =
        cluster.post(As::Admin, "/api/v1/namespaces/none/configmaps", json!({ "metadata": { "name": "c" } })).await;
    assert_eq!((status, answer["message"].as_str()), (404, Some(r#"namespaces "none" not found"#)));
    for name in ["default", "kube-system", "kube-public"] {
        let path = format!("/api/v1/namespaces/{name}");
        let (status, answer) = cluster.send(As::Admin, Method::DELETE, &path, Value::Null).await;
        let expected = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
        assert_eq!((status, answer["message"].as_str()), (403, Some(&*expected)));
    }
    cluster.create("/api/v1/namespaces", json!({ "metadata": { "name": "doomed" } })).await;
    let maps = "/api/v1/namespaces/doomed/configmaps";
    cluster.create(maps, json!({ "metadata": { "name": "c" } })).await;
    let (status, _) = cluster.send(As::Admin, Method::DELETE, "/api/v1/namespaces/doomed", Value::Null).await;
    assert_eq!(status, 200);
    let (status, answer) = cluster.post(As::Admin, maps, json!({ "metadata": { "name": "d" } })).await;
    assert_eq!(status, 403, "{answer}");
    let expected = r#"configmaps "d" is forbidden: unable to create new content in namespace doomed because it is being terminated"#;
    assert_eq!(answer["message"], expected);
    assert_eq!(answer["details"]["causes"][0]["reason"], "NamespaceTerminating");
}

#[tokio::test]
async fn new_nodes_are_not_ready() {
    let cluster = cluster().await;
    let node = cluster.create("/api/v1/nodes", json!({ "metadata": { "name": "n" } })).await;
    assert_eq!(node["spec"]["taints"], json!([{ "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" }]));
}
