//! What survives what: the whole program killed, each role of it, shims; other builds; the ways to stop.
//!
//! Real containers, the built program, upstream's kubectl. One test at a time: they measure.
#![expect(clippy::print_stdout, reason = "a test that takes minutes says where it is, and a skipped one why")]

mod kills;
mod pods;
mod roles;
mod shims;
mod stops;
mod upgrade;
mod whole;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testing::cluster::{kubectl_program, run};
use testing::image::busybox_archive;
use testing::{Cluster, Machine};

/// Longest wait for anything that a cluster should do at once.
const SOON: Duration = Duration::from_secs(60);

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_coracle");

static TURN: Mutex<()> = Mutex::new(());

/// Waits for the other tests of this file.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A machine for a cluster, or nothing with the reason printed.
fn machine() -> Option<Machine> {
    if kubectl_program().is_none() {
        println!("skipped: no kubectl 1.32 or newer; `make test` builds one");
        return None;
    }
    let machine = Machine::new();
    if let Err(error) = &machine {
        println!("skipped: a cluster needs root and network namespaces: {error}");
    }
    machine.ok()
}

/// A cluster with the test images.
fn cluster() -> Option<Cluster> {
    Some(cluster_of(Path::new(PROGRAM), machine()?))
}

fn cluster_of(program: &Path, machine: Machine) -> Cluster {
    let cluster = Cluster::start(program, machine).unwrap_or_else(|error| panic!("coracle up: {error}"));
    let archive = busybox_archive().expect("the test image is made");
    run(cluster.coracle("image load").arg(archive.path())).expect("image load");
    cluster
}

/// How much longer things may take than they should: as much as others keep this machine busy.
fn load_factor() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (load / f64::from(u32::try_from(cores).unwrap_or(u32::MAX))).max(1.0)
}
