//! Workloads: deployments, services, scaling, roll-out, restarts.

use std::time::Duration;

use testing::Cluster;
use testing::image::{BUSYBOX, WEB_V1, WEB_V2};

use crate::{SOON, has};

pub(crate) fn deploys_and_exposes(cluster: &Cluster) {
    let image = format!("--image={WEB_V1}");
    cluster.kubectl(&["create", "deployment", "web", &image, "--replicas=3"]).expect("create deployment");
    cluster.kubectl(&["expose", "deployment", "web", "--port=80"]).expect("expose");
    let status = cluster.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]).expect("rollout status");
    has(&status, &["successfully rolled out"]);
    has(&cluster.kubectl(&["get", "deployment", "web", "--no-headers"]).expect("get deployment"), &["3/3"]);
}

pub(crate) fn reaches_a_service_by_name(cluster: &Cluster) {
    let image = format!("--image={BUSYBOX}");
    let command = ["wget", "-q", "-O-", "http://web.default.svc.cluster.local"];
    let run = [&["run", "shell", "--rm", "-i", "--restart=Never", &image, "--"], &command[..]].concat();
    has(&cluster.kubectl(&run).expect("kubectl run"), &["web v1"]);
}

pub(crate) fn scales(cluster: &Cluster) {
    cluster.kubectl(&["scale", "deployment", "web", "--replicas=5"]).expect("scale up");
    ready(cluster, "5");
    cluster.kubectl(&["scale", "deployment", "web", "--replicas=2"]).expect("scale down");
    let running = ["get", "pods", "-l", "app=web", "--no-headers"];
    cluster.wait(&running, SOON, |out| out.lines().count() == 2).expect("two pods remain");
}

pub(crate) fn updates_and_undoes(cluster: &Cluster) {
    let image = format!("web={WEB_V2}");
    cluster.kubectl(&["set", "image", "deployment/web", &image]).expect("set image");
    serves(cluster, WEB_V2);
    cluster.kubectl(&["rollout", "undo", "deployment", "web"]).expect("rollout undo");
    serves(cluster, WEB_V1);
    has(&cluster.kubectl(&["rollout", "history", "deployment", "web"]).expect("history"), &["REVISION", "2", "3"]);
}

pub(crate) fn sees_a_killed_container_restarted(cluster: &Cluster) {
    let image = format!("--image={BUSYBOX}");
    let script = "echo started; sleep 1; exit 3";
    cluster.kubectl(&["run", "crash", &image, "--command", "--", "sh", "-c", script]).expect("run");
    let restarts = [
        "get",
        "pod",
        "crash",
        "-o",
        "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.waiting.reason}",
    ];
    cluster
        .wait(&restarts, SOON, |out| out == "1 CrashLoopBackOff" || out.starts_with('2'))
        .expect("restarted with back-off");
    let last = ["get", "pod", "crash", "-o", "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}"];
    assert_eq!(cluster.kubectl(&last).expect("last state"), "3");
    cluster.kubectl(&["delete", "pod", "crash", "--now"]).expect("delete");
}

pub(crate) fn sees_a_deleted_pod_replaced(cluster: &Cluster) {
    let names = ["get", "pods", "-l", "app=web", "-o", "name"];
    let before = cluster.kubectl(&names).expect("names");
    let victim = before.lines().next().expect("a pod").to_owned();
    cluster.kubectl(&["delete", &victim, "--timeout=60s"]).expect("delete");
    ready(cluster, "2");
    let after = cluster.kubectl(&names).expect("names");
    assert!(!after.contains(&victim), "{after}");
}

fn ready(cluster: &Cluster, replicas: &str) {
    let count = ["get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}"];
    cluster.wait(&count, SOON, |out| out == replicas).unwrap_or_else(|e| panic!("{replicas} ready: {e}"));
}

/// Waits until the roll-out is over and all pods have `image`.
fn serves(cluster: &Cluster, image: &str) {
    cluster.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]).expect("rollout status");
    let images = ["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.containers[0].image}"];
    let all = |out: &str| out.split(' ').all(|i| i == image);
    cluster.wait(&images, Duration::from_secs(60), all).unwrap_or_else(|e| panic!("all pods have {image}: {e}"));
}
