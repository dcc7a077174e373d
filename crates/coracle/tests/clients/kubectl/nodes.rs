//! `cordon`, `drain`, `uncordon`, `taint`.

use testing::image::WEB_V1;

use super::Kubectl;
use crate::has;

pub(super) fn empties(kubectl: &Kubectl<'_>) {
    kubectl.ok(&format!("create deployment drained --image={WEB_V1} --replicas=2"));
    kubectl.ok("rollout status deployment drained --timeout=60s");
    let before = kubectl.ok("get pods -o name");
    has(&kubectl.ok("cordon node"), &["node/node cordoned"]);
    has(&kubectl.ok("get node node --no-headers"), &["Ready,SchedulingDisabled"]);
    let drained =
        kubectl.ok("drain node --pod-selector=app=drained --ignore-daemonsets --grace-period=1 --timeout=60s");
    has(
        &drained,
        &["node/node already cordoned", "evicting pod kubectl-nodes/drained-", " evicted", "node/node drained"],
    );
    let waiting = kubectl.until("get pods --no-headers", |out| out.matches(" Pending ").count() == 2);
    assert!(before.lines().all(|pod| !waiting.contains(pod.trim_start_matches("pod/"))), "{before} {waiting}");
    has(&kubectl.ok("uncordon node"), &["node/node uncordoned"]);
    kubectl.ok("rollout status deployment drained --timeout=60s");
    taints(kubectl);
    kubectl.ok("delete deployment drained");
}

fn taints(kubectl: &Kubectl<'_>) {
    has(&kubectl.ok("taint nodes node test=yes:NoExecute"), &["node/node tainted"]);
    kubectl.until("get pods --no-headers", |out| out.matches(" Pending ").count() == 2);
    has(&kubectl.ok("describe node node"), &["test=yes:NoExecute"]);
    has(&kubectl.fails("taint nodes node test=yes:NoExecute"), &["already has test taint(s) with same effect(s)"]);
    has(&kubectl.ok("taint nodes node test-"), &["node/node untainted"]);
    kubectl.ok("rollout status deployment drained --timeout=60s");
}
