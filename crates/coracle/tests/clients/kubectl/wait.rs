//! `wait` and `delete`.

use testing::image::{BUSYBOX, WEB_V1};

use super::Kubectl;
use crate::has;

pub(super) fn waits(kubectl: &Kubectl<'_>) {
    std::thread::scope(|scope| {
        scope.spawn(|| has(&kubectl.ok("wait --for=create pod/awaited --timeout=60s"), &["pod/awaited condition met"]));
        kubectl.ok(&format!("run awaited --image={BUSYBOX} --grace-period=0 --command -- sleep 3600"));
    });
    has(&kubectl.ok("wait --for=condition=Ready pod/awaited --timeout=60s"), &["condition met"]);
    has(&kubectl.ok("wait --for=jsonpath={.status.phase}=Running pod/awaited"), &["condition met"]);
    has(
        &kubectl.fails("wait --for=condition=Never pod/awaited --timeout=1s"),
        &["timed out waiting for the condition on pods/awaited"],
    );
    has(&kubectl.fails("wait --for=condition=Ready pod/nobody --timeout=1s"), &["pods \"nobody\" not found"]);
    std::thread::scope(|scope| {
        scope.spawn(|| has(&kubectl.ok("wait --for=delete pod/awaited --timeout=60s"), &["condition met"]));
        has(&kubectl.ok("delete pod awaited --now"), &["pod \"awaited\""]);
    });
    kubectl.ok("wait --for=delete pod/awaited --timeout=1s");
}

/// What is left of a deployment's replica sets, by how it was deleted.
pub(super) fn deletes(kubectl: &Kubectl<'_>) {
    let sets = "get replicasets -o name -l app=";
    for cascade in ["background", "foreground", "orphan"] {
        kubectl.ok(&format!("create deployment {cascade} --image={WEB_V1}"));
        kubectl.ok(&format!("rollout status deployment {cascade} --timeout=60s"));
        has(&kubectl.ok(&format!("delete deployment {cascade} --cascade={cascade} --timeout=60s")), &["deleted"]);
        match cascade {
            "foreground" => assert_eq!(kubectl.ok(&format!("{sets}{cascade}")), "", "dependents go first"),
            "background" => drop(kubectl.until(&format!("{sets}{cascade}"), str::is_empty)),
            _ => has(
                &kubectl.ok(&format!("get pods,{}{cascade}", sets.trim_start_matches("get "))),
                &["pod/orphan-", "replicaset.apps/orphan-"],
            ),
        }
    }
    kubectl.ok("delete replicasets -l app=orphan");
    has(&kubectl.ok("delete configmap none --ignore-not-found"), &[]);
    has(&kubectl.ok("delete configmap made --dry-run=server"), &["(server dry run)"]);
    has(&kubectl.ok("delete configmap made"), &["configmap \"made\" deleted"]);
    has(&kubectl.ok(&format!("run forced --image={BUSYBOX} --command -- sleep 3600")), &["pod/forced created"]);
    kubectl.ready("forced");
    has(&kubectl.ok("delete pod forced --force --grace-period=0"), &["pod \"forced\" force deleted"]);
    assert_eq!(kubectl.ok("get pod forced --ignore-not-found"), "");
}
