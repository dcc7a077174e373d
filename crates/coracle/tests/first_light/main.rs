//! A developer's first minutes on a real cluster: the built program, real containers, upstream's kubectl.
#![expect(clippy::print_stdout, reason = "a test that takes minutes says where it is, and a skipped one why")]

mod image;
mod life;
mod node;
mod read;
mod stream;
mod volume;
mod workload;
mod write;

use std::path::Path;
use std::time::Duration;

use testing::cluster::kubectl_program;
use testing::{Cluster, Machine};

/// Longest wait for anything that a cluster should do at once.
const SOON: Duration = Duration::from_secs(40);

/// Fails unless `text` holds every one of `parts`.
#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// One step: what a user does, and the check that it worked.
type Step = (&'static str, fn(&Cluster));

/// In order; later steps build on what earlier ones left in the cluster.
const STEPS: &[Step] = &[
    ("looks around", read::looks_around),
    ("loads and lists images", image::loads_and_lists),
    ("deploys and exposes", workload::deploys_and_exposes),
    ("reaches a Service by name from a pod", workload::reaches_a_service_by_name),
    ("reads logs", stream::reads_logs),
    ("follows logs", stream::follows_logs),
    ("runs commands in a container", stream::runs_commands),
    ("runs a command on a terminal", stream::runs_on_a_terminal),
    ("forwards a port", stream::forwards_a_port),
    ("describes", read::describes),
    ("watches", read::watches),
    ("scales", workload::scales),
    ("updates and undoes", workload::updates_and_undoes),
    ("applies, edits, labels", write::applies_edits_labels),
    ("is told what is wrong", write::is_told_what_is_wrong),
    ("sees a killed container restarted", workload::sees_a_killed_container_restarted),
    ("sees a deleted pod replaced", workload::sees_a_deleted_pod_replaced),
    ("has a second node", node::has_a_second_node),
    ("uses configuration", volume::uses_configuration),
    ("stops and starts", life::stops_and_starts),
    ("deletes everything", write::deletes_everything),
    ("runs beside another cluster", life::runs_beside_another),
    ("is refused a second cluster in the same place", life::is_refused_a_second_cluster),
];

#[test]
fn first_light() {
    let Some(cluster) = cluster() else { return };
    for (name, step) in STEPS {
        println!("--- {name}");
        let started = tokio::time::Instant::now();
        step(&cluster);
        println!("    {} ms", started.elapsed().as_millis());
    }
    cluster.down().expect("coracle down");
    life::nothing_is_left(&cluster);
}

/// The cluster, or nothing with the reason printed.
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
    Some(Cluster::start(program, machine).unwrap_or_else(|error| panic!("coracle up: {error}")))
}
