//! Another build of the program takes over what an earlier one has left; what a later one has left is refused.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use testing::Cluster;

use crate::pods::{Seen, list, nothing_runs, plain, processes, running, settled};
use crate::{PROGRAM, SOON, cluster, cluster_of, machine, turn};

/// Names the older program.
const OLDER: &str = "CORACLE_OLDER";

#[test]
fn an_older_build_is_taken_over() {
    let _turn = turn();
    let Some(older) = std::env::var_os(OLDER).map(PathBuf::from).filter(|path| path.is_file()) else {
        println!("skipped: {OLDER} names no older build; `make soak` makes one");
        return;
    };
    let Some(machine) = machine() else { return };
    let mut cluster = cluster_of(&older, machine);
    let talks = running(
        "talks",
        "echo from the older; while [ ! -e /go ]; do sleep 0.1; done; echo to the newer; sleep 1000000",
    );
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&[plain("a"), plain("b"), talks])).expect("apply");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]).expect("the pods run");
    let before = settled(&cluster);
    let first = processes(&cluster);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        cluster.end(signal).expect("the older build ends");
        cluster.switch_to(Path::new(PROGRAM));
        cluster.up().expect("the newer build starts");
        assert_eq!(settled(&cluster), before);
        assert_eq!(processes(&cluster), first);
    }
    cluster.kubectl(&["exec", "talks", "--", "touch", "/go"]).expect("exec");
    let said = cluster.wait(&["logs", "talks"], SOON, |said| said.contains("to the newer")).expect("logs");
    assert_eq!(said, "from the older\nto the newer\n");
    is_stopped_and_restarted(&cluster, &before);
    cluster.down().expect("coracle down");
    nothing_runs(&cluster);
}

/// Containers that the older build has started are ended as any other; a lost shim of it too is noticed.
fn is_stopped_and_restarted(cluster: &Cluster, before: &[Seen]) {
    cluster.kubectl(&["delete", "pod", "a"]).expect("delete");
    cluster.kubectl(&["exec", "b", "--", "kill", "1"]).expect("exec");
    let restarts = ["get", "pod", "b", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"];
    cluster.wait(&restarts, SOON, |out| out == "1").expect("the container is restarted");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/b", "--timeout=60s"]).expect("it runs again");
    cluster.kubectl(&["delete", "pod", "b"]).expect("delete");
    let after = settled(cluster);
    assert_eq!(after, before.iter().filter(|pod| pod.name == "talks").cloned().collect::<Vec<_>>());
}

/// Whose version is raised, and what is said of it.
type Case = (fn(&Path) -> PathBuf, fn(Vec<u8>) -> Vec<u8>, &'static str);

const LATER: &[Case] = &[
    (|data| data.join("instance.json"), later_json, "its form has version 7, this program knows 1"),
    (
        |data| only(&data.join("runtime/sandboxes")).join("sandbox.pb"),
        later_record,
        "has version 7, this program reads 1",
    ),
    (
        |data| only(&data.join("runtime/containers")).join("container.pb"),
        later_record,
        "has version 7, this program reads 1",
    ),
    (
        |data| only(&data.join("runtime/containers")).join("status.json"),
        later_json,
        "has version 7, this program reads 1",
    ),
    (|data| only(&data.join("network/leases")), later_json, "has version 7, this program reads version 1"),
];

#[test]
fn what_a_later_build_has_left_is_refused_with_words_and_left_alone() {
    let _turn = turn();
    let Some(cluster) = cluster() else { return };
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&[plain("a")])).expect("apply");
    let before = settled(&cluster);
    let first = processes(&cluster);
    for (file, later, words) in LATER {
        cluster.end(Signal::SIGTERM).expect("the program ends");
        let file = file(&cluster.data_dir());
        let bytes = std::fs::read(&file).expect("it is there");
        std::fs::write(&file, later(bytes.clone())).expect("it is changed");
        let refused = cluster.up().expect_err("a later version is not understood");
        assert!(refused.contains(words), "{}: {refused}", file.display());
        assert_eq!(processes(&cluster), first, "{}", file.display());
        std::fs::write(&file, bytes).expect("it is changed back");
        cluster.up().expect("coracle up");
        assert_eq!(settled(&cluster), before, "{}", file.display());
    }
    cluster.down().expect("coracle down");
}

/// The only entry of a directory.
fn only(directory: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(directory).expect("it is there").flatten();
    let only = entries.next().expect("it has an entry").path();
    assert!(entries.next().is_none(), "{} has more than one entry", directory.display());
    only
}

fn later_json(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(bytes).expect("it is text");
    let changed = text.replace("\"version\":1", "\"version\":7").replace("\"version\": 1", "\"version\": 7");
    assert_ne!(changed, text, "there is no version");
    changed.into_bytes()
}

/// The version is the first field, a small number.
fn later_record(mut bytes: Vec<u8>) -> Vec<u8> {
    assert_eq!(bytes[..2], [8, 1], "there is no version");
    bytes[1] = 7;
    bytes
}
