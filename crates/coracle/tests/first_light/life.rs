//! The cluster's own life: stop, start, a second one, nothing left.

use std::path::Path;

use testing::Cluster;
use testing::cluster::run;

use crate::{SOON, has};

pub(crate) fn stops_and_starts(cluster: &Cluster) {
    let names = ["get", "deployments,services,configmaps", "-o", "name"];
    let before = cluster.kubectl(&names).expect("names");
    cluster.down().expect("coracle down");
    nothing_is_left(cluster);
    cluster.up().expect("coracle up");
    assert_eq!(cluster.kubectl(&names).expect("names"), before);
    let ready = ["get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}"];
    cluster.wait(&ready, SOON, |out| out == "2").expect("the deployment's pods run again");
}

pub(crate) fn is_refused_a_second_cluster(cluster: &Cluster) {
    let refused = run(cluster.coracle("up").args(["--detach", "--listen", "127.0.0.1:7443"]));
    assert!(!refused.ok);
    has(&refused.stderr, &["it is already running", "coracle down"]);
}

/// Two clusters on one machine do not meet; a third that asks for a taken port is told so and leaves nothing.
pub(crate) fn runs_beside_another(cluster: &Cluster) {
    let program = Path::new(env!("CARGO_BIN_EXE_coracle"));
    let other =
        Cluster::start_at(program, cluster.machine().clone(), "127.0.0.1:7443").expect("a second cluster starts");
    other.kubectl(&["create", "namespace", "elsewhere"]).expect("create namespace");
    assert!(!cluster.kubectl(&["get", "namespace", "elsewhere"]).ok, "the clusters share objects");
    let service = ["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"];
    assert_ne!(other.kubectl(&service).expect("get"), cluster.kubectl(&service).expect("get"));
    let refused =
        Cluster::start_at(program, cluster.machine().clone(), "127.0.0.1:7443").expect_err("the port is taken");
    has(&refused, &["apiserver: ", "127.0.0.1:7443", "in use", "next:"]);
    other.down().expect("coracle down");
    nothing_is_left(&other);
    cluster.kubectl(&["get", "nodes"]).expect("the first cluster goes on");
}

/// After `down`: no process, no mount below the data directory, no link but loopback.
pub(crate) fn nothing_is_left(cluster: &Cluster) {
    assert!(containers(cluster).is_empty(), "{:?}", containers(cluster));
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts are readable");
    let below = cluster.data_dir().display().to_string();
    let left: Vec<_> = mounts.lines().filter(|line| line.contains(&below)).collect();
    assert!(left.is_empty(), "mounts are left: {left:?}");
}

/// Processes whose command line or root is this cluster's.
fn containers(cluster: &Cluster) -> Vec<String> {
    let below = cluster.data_dir().display().to_string();
    let entries = std::fs::read_dir("/proc").expect("/proc is readable").flatten();
    let lines = entries.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&below)).collect()
}
