//! A shim is killed: its pod is made anew, the others notice nothing.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use testing::{Cluster, Traces};

use crate::pods::{Seen, list, plain, running, settled};
use crate::{SOON, cluster, turn};

#[test]
fn a_pod_whose_shim_is_killed_is_made_anew() {
    let _turn = turn();
    let Some(cluster) = cluster() else { return };
    let mut never = running("never", "sleep 1000000");
    never["spec"]["restartPolicy"] = json!("Never");
    let mut shared = plain("shared");
    shared["spec"]["shareProcessNamespace"] = json!(true);
    shared["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 8099}]);
    let items = [plain("other"), shared, never];
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&items)).expect("apply");
    let before = settled(&cluster);
    let processes = Traces::of(&cluster.data_dir(), cluster.machine()).processes;
    kill_shim(&cluster, find(&before, "shared"));
    let is_new = |out: &str| out != find(&before, "shared").containers[0].0 && !out.is_empty();
    let id = [
        "get",
        "pod",
        "shared",
        "-o",
        "jsonpath={.status.containerStatuses[0].state.running.startedAt}{.status.containerStatuses[0].restartCount}",
    ];
    cluster.wait(&id, SOON, |out| out.ends_with("Z1") && is_new(out)).expect("its container is restarted");
    let after = Traces::of(&cluster.data_dir(), cluster.machine());
    let gone = &find(&before, "shared").containers[0].0;
    assert!(after.processes.values().all(|container| container != gone), "processes of the dead sandbox");
    let kept = processes.iter().filter(|(_, container)| *container != gone);
    assert!(kept.into_iter().all(|(process, _)| after.processes.contains_key(process)), "others have noticed");
    assert_eq!((after.shims.len(), after.leases.len()), (3, 3), "the dead sandbox holds nothing: {after:?}");
    let told = cluster.kubectl(&["get", "events", "--field-selector", "reason=SandboxChanged", "-o", "name"]);
    assert_eq!(told.expect("events").lines().count(), 1);
    kill_shim(&cluster, find(&before, "never"));
    let phase = ["get", "pod", "never", "-o", "jsonpath={.status.phase}"];
    cluster.wait(&phase, SOON, |phase| phase == "Failed").expect("it has failed");
    cluster.kubectl(&["delete", "pods", "never", "shared"]).expect("delete");
    assert_eq!(settled(&cluster), [find(&before, "other").clone()]);
    while_nobody_looks(&cluster);
    cluster.down().expect("coracle down");
    crate::pods::nothing_runs(&cluster);
}

/// Shim and program are killed together: the container dies with its shim, and the next program makes the pod anew.
fn while_nobody_looks(cluster: &Cluster) {
    let before = settled(cluster);
    cluster.end(Signal::SIGKILL).expect("the program is killed");
    kill_shim(cluster, &before[0]);
    let patience = tokio::time::Instant::now() + SOON;
    while !Traces::of(&cluster.data_dir(), cluster.machine()).processes.is_empty() {
        assert!(tokio::time::Instant::now() < patience, "the container outlives its shim");
    }
    cluster.up().expect("coracle up");
    let restarts = ["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"];
    cluster.wait(&restarts, SOON, |out| out == "1").expect("the pod is made anew");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/other", "--timeout=60s"]).expect("it runs");
}

fn find<'a>(pods: &'a [Seen], name: &str) -> &'a Seen {
    pods.iter().find(|pod| pod.name == name).expect("the pod is there")
}

/// Kills the process whose sandbox directory has the pod's container.
fn kill_shim(cluster: &Cluster, pod: &Seen) {
    let container = &pod.containers[0].0;
    let traces = Traces::of(&cluster.data_dir(), cluster.machine());
    let process = traces.processes.iter().find(|(_, of)| *of == container).expect("the container has a process").0.0;
    let parent = |pid: i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let shim = std::iter::successors(Some(process), |pid| parent(*pid)).find(|pid| traces.shims.contains(pid));
    kill(Pid::from_raw(shim.expect("the container has a shim")), Signal::SIGKILL).expect("it is killed");
}
