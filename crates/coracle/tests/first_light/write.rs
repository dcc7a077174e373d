//! Writing: apply, edit, label, patch, delete, and being told what is wrong.

use testing::Cluster;

use crate::has;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  labels: {app: demo}\ndata:\n  color: blue\n  size: large\n";

pub(crate) fn applies_edits_labels(cluster: &Cluster) {
    has(&cluster.kubectl_with(&["apply", "-f", "-"], CONFIG).expect("apply"), &["configmap/settings created"]);
    has(&cluster.kubectl_with(&["apply", "-f", "-"], CONFIG).expect("apply again"), &["configmap/settings unchanged"]);
    let changed = CONFIG.replace("  size: large\n", "").replace("blue", "green");
    has(
        &cluster.kubectl_with(&["apply", "-f", "-"], &changed).expect("apply a change"),
        &["configmap/settings configured"],
    );
    assert_eq!(data(cluster), r#"{"color":"green"}"#);
    let mut edit = cluster.kubectl_command(&["edit", "configmap", "settings"]);
    let edited = testing::cluster::run(edit.env("KUBE_EDITOR", "sed -i s/green/red/")).expect("edit");
    has(&edited, &["configmap/settings edited"]);
    assert_eq!(data(cluster), r#"{"color":"red"}"#);
    cluster.kubectl(&["label", "configmap", "settings", "tier=front"]).expect("label");
    has(
        &cluster.kubectl(&["get", "configmaps", "-l", "tier in (front),app=demo", "-o", "name"]).expect("get"),
        &["configmap/settings"],
    );
    cluster
        .kubectl(&[
            "patch",
            "configmap",
            "settings",
            "--type=json",
            "-p",
            r#"[{"op":"add","path":"/data/n","value":"1"}]"#,
        ])
        .expect("patch");
    assert_eq!(data(cluster), r#"{"color":"red","n":"1"}"#);
    has(&cluster.kubectl_with(&["diff", "-f", "-"], CONFIG).stdout, &["-  color: red", "+  color: blue"]);
}

fn data(cluster: &Cluster) -> String {
    cluster.kubectl(&["get", "configmap", "settings", "-o", "jsonpath={.data}"]).expect("get")
}

pub(crate) fn is_told_what_is_wrong(cluster: &Cluster) {
    let cases = [
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n",
            "a lowercase RFC 1123 subdomain must consist of",
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n", "spec.containers: Required value"),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: b, imag: c}]}\n",
            "unknown field \"spec.containers[0].imag\"",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: nowhere}\n",
            "namespaces \"nowhere\" not found",
        ),
        ("{ this is: [not yaml", "error"),
    ];
    for (manifest, message) in cases {
        let refused = cluster.kubectl_with(&["apply", "-f", "-"], manifest);
        assert!(!refused.ok, "accepted: {manifest}");
        has(&refused.stderr, &[message]);
    }
    let unknown = cluster.kubectl_with(
        &["apply", "--validate=false", "-f", "-"],
        "apiVersion: v1\nkind: Nonsense\nmetadata: {name: c}\n",
    );
    has(&unknown.stderr, &["no matches for kind \"Nonsense\""]);
    cluster.kubectl(&["run", "ghost", "--image=coracle.test/no/such:1"]).expect("run");
    let reason = ["get", "pod", "ghost", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"];
    cluster
        .wait(&reason, crate::SOON, |out| out == "ErrImagePull" || out == "ImagePullBackOff")
        .expect("the pull failed visibly");
    has(
        &cluster.kubectl(&["describe", "pod", "ghost"]).expect("describe"),
        &["Failed to pull image", "coracle.test/no/such:1"],
    );
    cluster.kubectl(&["delete", "pod", "ghost", "--now"]).expect("delete");
}

pub(crate) fn deletes_everything(cluster: &Cluster) {
    cluster.kubectl(&["delete", "deployment,service", "web"]).expect("delete");
    cluster.wait(&["get", "pods", "-o", "name"], crate::SOON, str::is_empty).expect("no pods remain");
    cluster.kubectl(&["create", "namespace", "brief"]).expect("create namespace");
    cluster.kubectl(&["create", "configmap", "inside", "-n", "brief"]).expect("create configmap");
    cluster.kubectl(&["delete", "namespace", "brief", "--timeout=40s"]).expect("delete namespace");
    assert!(!cluster.kubectl(&["get", "namespace", "brief"]).ok);
}
