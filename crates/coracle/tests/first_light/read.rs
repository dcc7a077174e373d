//! Reading: cluster-info, get, api-resources, describe, watch.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use testing::Cluster;

use crate::has;

pub(crate) fn looks_around(cluster: &Cluster) {
    cluster.kubectl(&["wait", "--for=condition=Ready", "node/node", "--timeout=40s"]).expect("wait for the node");
    has(&cluster.kubectl(&["cluster-info"]).expect("cluster-info"), &["control plane", "is running at"]);
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "wide"]).expect("get nodes");
    has(&nodes, &["NAME", "STATUS", "ROLES", "VERSION", "INTERNAL-IP", "node", "Ready", "v1.36"]);
    let resources = cluster.kubectl(&["api-resources", "--no-headers"]).expect("api-resources");
    has(&resources, &["deployments", "deploy", "apps/v1", "Deployment", "horizontalpodautoscalers", "autoscaling/v2"]);
    assert!(resources.lines().count() >= 60, "{resources}");
    has(&cluster.kubectl(&["get", "all", "-A"]).expect("get all"), &["service/kubernetes", "service/kube-dns"]);
    let version = cluster.kubectl(&["version", "-o", "json"]).expect("version");
    has(&version, &["\"serverVersion\"", "\"minor\": \"36\""]);
}

pub(crate) fn describes(cluster: &Cluster) {
    let deployment = cluster.kubectl(&["describe", "deployment", "web"]).expect("describe deployment");
    has(&deployment, &["Replicas:", "3 desired", "StrategyType:", "RollingUpdate", "ScalingReplicaSet"]);
    let pods = cluster.kubectl(&["describe", "pods", "-l", "app=web"]).expect("describe pods");
    has(
        &pods,
        &["Node:", "Container ID:", "Started", "Scheduled", "Successfully assigned default/web-", "kube-api-access-"],
    );
    has(
        &cluster.kubectl(&["describe", "node", "node"]).expect("describe node"),
        &["Allocatable:", "Non-terminated Pods:", "KubeletReady"],
    );
    has(
        &cluster.kubectl(&["describe", "service", "web"]).expect("describe service"),
        &["Endpoints:", "ClusterIP", ":80"],
    );
}

pub(crate) fn watches(cluster: &Cluster) {
    let mut command = cluster.kubectl_command(&[
        "get",
        "configmaps",
        "-w",
        "--no-headers",
        "-o",
        "name",
        "--field-selector",
        "metadata.name=watched",
    ]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl starts");
    cluster.kubectl(&["create", "configmap", "watched", "--from-literal=a=b"]).expect("create configmap");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let seen = lines.next().expect("the watch prints").expect("text");
    child.kill().and_then(|()| child.wait()).expect("kubectl ends");
    assert_eq!(seen, "configmap/watched");
    cluster.kubectl(&["delete", "configmap", "watched"]).expect("delete configmap");
}
