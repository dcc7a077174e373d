//! Upstream's clients, unchanged, against the built program: one cluster, one namespace for each client.
#![expect(clippy::print_stdout, reason = "a test that takes minutes says where it is, and a skipped one why")]

mod go;
mod javascript;
mod kubectl;
mod program;
mod python;
mod rust;

use std::path::Path;
use std::time::Duration;

use testing::cluster::{kubectl_program, run};
use testing::image::busybox_archive;
use testing::{Cluster, Machine};

/// Longest wait for anything that a cluster should do at once.
const SOON: Duration = Duration::from_secs(60);

/// Fails unless `text` holds every one of `parts`.
#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// Everything that one client does.
type Client = (&'static str, fn(&Cluster));

/// They run beside each other, as clients do.
const CLIENTS: &[Client] = &[
    ("kubectl: objects", kubectl::uses_objects),
    ("kubectl: streams", kubectl::uses_streams),
    ("Python", python::passes),
    ("JavaScript", javascript::passes),
    ("client-go, JSON", go::passes_with_json),
    ("client-go, protobuf", go::passes_with_protobuf),
    ("kube's runtime", rust::passes),
];

#[test]
fn clients() {
    let Some(cluster) = cluster() else { return };
    timed("kubectl: nodes", || kubectl::empties_a_node(&cluster));
    timed("kube: a long history", || rust::makes_history(&cluster));
    std::thread::scope(|scope| {
        let start = |client: &'static Client| {
            let cluster = &cluster;
            (client.0, scope.spawn(move || timed(client.0, || client.1(cluster))))
        };
        let running: Vec<_> = CLIENTS.iter().map(start).collect();
        let ended = running.into_iter().map(|(name, thread)| (name, thread.join().is_ok()));
        let failed: Vec<_> = ended.filter(|(_, passed)| !passed).map(|(name, _)| name).collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
    });
    cluster.down().expect("coracle down");
}

fn timed(name: &str, work: impl FnOnce()) {
    let started = tokio::time::Instant::now();
    work();
    println!("=== {name}: {} ms", started.elapsed().as_millis());
}

/// The cluster with its images, or nothing with the reason printed.
fn cluster() -> Option<Cluster> {
    if kubectl_program().is_none() {
        println!("skipped: no kubectl 1.32 or newer; `make test` builds one");
        return None;
    }
    let machine = match Machine::new() {
        Ok(machine) => machine,
        Err(error) => {
            println!("skipped: a cluster needs root and network namespaces: {error}");
            return None;
        }
    };
    let program = Path::new(env!("CARGO_BIN_EXE_coracle"));
    let cluster = Cluster::start(program, machine).unwrap_or_else(|error| panic!("coracle up: {error}"));
    // A server that was started again has forgotten its first revisions: clients are told so.
    cluster.down().expect("coracle down");
    cluster.up().expect("coracle up");
    let archive = busybox_archive().expect("the test images are made");
    run(cluster.coracle("image load").arg(archive.path())).expect("image load");
    Some(cluster)
}
