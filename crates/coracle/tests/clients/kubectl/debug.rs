//! `debug`: ephemeral containers, copies of pods, the node.

use testing::image::BUSYBOX;

use super::Kubectl;
use crate::has;

/// kubectl attaches, or prints the log of what has ended already.
pub(super) fn debugs(kubectl: &Kubectl<'_>) {
    let script = "'cat /proc/1/cmdline | tr \"\\0\" \" \"; echo; echo debugged'";
    let ephemeral =
        format!("debug shown --image={BUSYBOX} -c looker --target=shown --profile=general -i -q -- sh -c {script}");
    has(&kubectl.ok(&ephemeral), &["debugged"]);
    let status = kubectl
        .until("get pod shown -o jsonpath={.status.ephemeralContainerStatuses}", |out| out.contains("terminated"));
    has(&status, &["\"name\":\"looker\"", "\"exitCode\":0", BUSYBOX]);
    has(&kubectl.ok("logs shown -c looker"), &["sleep 3600", "debugged"]);
    has(&kubectl.ok("describe pod shown"), &["Ephemeral Containers:", "looker:"]);
    kubectl.ok(&format!("debug shown --copy-to=copied --image={BUSYBOX} -c extra --profile=general -- sleep 3600"));
    kubectl.ready("copied");
    assert_eq!(kubectl.ok("get pod copied -o jsonpath={.spec.containers[*].name}"), "shown extra");
    let node = format!("debug node/node --image={BUSYBOX} --profile=general -i -q -- ls -d /host/etc");
    has(&kubectl.ok(&node), &["/host/etc"]);
    kubectl.ok("delete pods --all --now");
}
