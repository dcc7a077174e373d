//! The ways to stop: SIGTERM leaves pods, Ctrl-C and `coracle down` stop them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testing::Cluster;

use crate::pods::{list, nothing_runs, plain, processes, settled};
use crate::{cluster, turn};

#[test]
fn sigterm_leaves_pods_and_the_others_stop_them() {
    let _turn = turn();
    let Some(cluster) = cluster() else { return };
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&[plain("a"), plain("b")])).expect("apply");
    let before = settled(&cluster);
    let running = processes(&cluster);
    cluster.end(Signal::SIGTERM).expect("the program ends");
    assert_eq!(processes(&cluster), running, "SIGTERM leaves pods");
    let mut child = foreground(&cluster);
    assert_eq!((settled(&cluster), processes(&cluster)), (before, running));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("Ctrl-C");
    assert!(child.wait().expect("it ends").success());
    nothing_runs(&cluster);
    down_after(&cluster, Signal::SIGKILL);
    down_after(&cluster, Signal::SIGTERM);
    cluster.up().expect("coracle up");
    settled(&cluster);
    cluster.down().expect("coracle down");
    nothing_runs(&cluster);
}

/// `down` finds the pods of a program that is gone.
fn down_after(cluster: &Cluster, signal: Signal) {
    cluster.up().expect("coracle up");
    assert_eq!(settled(cluster).len(), 2);
    cluster.end(signal).expect("the program ends");
    cluster.down().expect("coracle down");
    nothing_runs(cluster);
}

/// A cluster as at a terminal, once it serves.
fn foreground(cluster: &Cluster) -> Child {
    let mut child = cluster.up_command().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("coracle up");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "ready"), "it does not serve");
    child
}
