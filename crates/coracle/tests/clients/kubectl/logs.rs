//! `logs` with its flags.

use testing::image::BUSYBOX;

use super::Kubectl;
use crate::has;

fn start(kubectl: &Kubectl<'_>) {
    let container =
        |name: &str, script: &str| serde_json::json!({"name": name, "image": BUSYBOX, "command": ["sh", "-c", script]});
    let steady = container("steady", "for i in 1 2 3 4 5; do echo line $i; done; exec sleep 3600");
    let restless = container("restless", "echo run $(cat /proc/sys/kernel/random/uuid); exit 1");
    let manifest = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "chatty", "labels": {"app": "chatty"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [steady, restless]},
    });
    kubectl.with("create -f -", &manifest.to_string());
    let restarts = "get pod chatty -o 'jsonpath={.status.containerStatuses[?(@.name==\"restless\")].restartCount}'";
    kubectl.until(restarts, |out| out.parse().is_ok_and(|count: u32| count > 0));
}

pub(super) fn reads(kubectl: &Kubectl<'_>) {
    start(kubectl);
    assert_eq!(kubectl.ok("logs chatty -c steady --tail=2"), "line 4\nline 5\n");
    assert_eq!(kubectl.ok("logs chatty -c steady --limit-bytes=6"), "line 1");
    assert_eq!(kubectl.ok("logs chatty -c steady --since=1h --tail=1"), "line 5\n");
    assert_eq!(kubectl.ok("logs chatty -c steady --since-time=2999-01-01T00:00:00Z"), "");
    let stamped = kubectl.ok("logs chatty -c steady --timestamps --tail=1");
    let (stamp, line) = stamped.split_once(' ').expect("a time before the line");
    assert!(stamp.ends_with('Z') && stamp.len() > 20 && line == "line 5\n", "{stamped}");
    let (now, before) = (kubectl.ok("logs chatty -c restless"), kubectl.ok("logs chatty -c restless --previous"));
    assert!(now.starts_with("run ") && before.starts_with("run ") && now != before, "{now} {before}");
    let all = kubectl.ok("logs chatty --all-containers --prefix");
    has(&all, &["[pod/chatty/steady] line 5\n", "[pod/chatty/restless] run "]);
    has(&kubectl.ok("logs --selector app=chatty --all-containers --tail=1"), &["line 5\n", "run "]);
    let first = kubectl.run("logs chatty");
    assert!(first.ok && first.stdout.starts_with("line 1\n"), "{first:?}");
    has(&first.stderr, &["Defaulted container \"steady\" out of: steady, restless"]);
    has(&kubectl.fails("logs chatty -c nobody"), &["container nobody is not valid for pod chatty"]);
    has(
        &kubectl.fails("logs shell --previous"),
        &["previous terminated container \"main\" in pod \"shell\" not found"],
    );
    kubectl.ok("delete pod chatty --now");
}

pub(super) fn follows(kubectl: &Kubectl<'_>) {
    let script = "for i in 1 2 3; do echo tick $i; usleep 200000; done";
    kubectl.ok(&format!("run ticker --image={BUSYBOX} --restart=Never --command -- sh -c '{script}'"));
    kubectl.ok("wait --for=jsonpath={.status.containerStatuses[0].containerID} pod/ticker --timeout=60s");
    assert_eq!(kubectl.ok("logs --follow ticker"), "tick 1\ntick 2\ntick 3\n");
    assert_eq!(kubectl.ok("logs --follow ticker --tail=1"), "tick 3\n");
    kubectl.ok("delete pod ticker --now");
}
