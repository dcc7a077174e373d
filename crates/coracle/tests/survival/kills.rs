//! The loop: the program is killed at random moments while pods come, run, change and go; after each restart all that
//! is wanted is there once, and nothing else is.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use testing::Cluster;
use testing::image::{WEB_V1, WEB_V2};

use crate::pods::{list, nothing_runs, plain, service, settled};
use crate::{cluster, turn};

/// Names of pods that come and go.
const PODS: &[&str] = &["p0", "p1", "p2", "p3", "p4"];
/// The longest life of the program, from its start.
const LIFE: u64 = 2500;

#[test]
fn a_few_kills_at_random_moments() {
    rounds(4);
}

#[test]
#[ignore = "takes many minutes: make soak"]
fn many_kills_at_random_moments() {
    rounds(120);
}

/// `CORACLE_SEED` repeats what a run has printed.
fn rounds(count: usize) {
    let _turn = turn();
    let Some(cluster) = cluster() else { return };
    let given = std::env::var_os("CORACLE_SEED").and_then(|text| text.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("CORACLE_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a timer");
    let image = format!("--image={WEB_V1}");
    cluster.kubectl(&["create", "deployment", "web", &image, "--replicas=2"]).expect("create deployment");
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&[service("web", 80)])).expect("apply");
    for round in 0..count {
        let (over, deeds) = (AtomicBool::new(false), random.random());
        let life = Duration::from_millis(random.random_range(0..LIFE));
        std::thread::scope(|scope| {
            scope.spawn(|| live(&cluster, &over, deeds));
            // A program that has just been started is killed on its way up, too.
            tokio.block_on(async { tokio::time::sleep(life).await });
            over.store(true, Ordering::SeqCst);
            cluster.end(Signal::SIGKILL).expect("the program is killed");
        });
        let up = killed_on_its_way(&cluster, &tokio, Duration::from_millis(random.random_range(0..700)));
        cluster.up().unwrap_or_else(|error| panic!("round {round}: coracle up: {error}"));
        let pods = settled(&cluster);
        let restarted: Vec<_> = pods.iter().filter(|pod| pod.containers.iter().any(|(_, times)| *times > 0)).collect();
        assert!(restarted.is_empty(), "containers have been restarted in round {round}: {restarted:?}");
        println!("round {round}: killed after {life:?}, {up}, {} pods are right", pods.len());
    }
    cluster.kubectl(&["delete", "deployment", "web"]).expect("delete");
    cluster.kubectl(&["delete", "pods", "--all"]).expect("delete");
    assert_eq!(settled(&cluster), []);
    cluster.down().expect("coracle down");
    nothing_runs(&cluster);
}

/// Starts the program and kills it after a while, whether it serves by then or not.
fn killed_on_its_way(cluster: &Cluster, tokio: &tokio::runtime::Runtime, life: Duration) -> String {
    let mut child = cluster.up_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("coracle up");
    tokio.block_on(async { tokio::time::sleep(life).await });
    child.kill().and_then(|()| child.wait()).expect("the program is killed");
    format!("then {life:?} after its start")
}

/// What users do, one thing after the other, whether it succeeds or not; until it is over.
fn live(cluster: &Cluster, over: &AtomicBool, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sessions: Vec<Child> = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let pod = PODS[random.random_range(0..PODS.len())];
        match random.random_range(0..10) {
            0..4 => drop(cluster.kubectl_with(&["create", "-f", "-"], &list(&[plain(pod)]))),
            4 => drop(cluster.kubectl(&["delete", "pod", pod, "--wait=false"])),
            5 => drop(cluster.kubectl(&["delete", "pod", pod, "--wait=false", "--force", "--grace-period=0"])),
            6 => {
                let replicas = format!("--replicas={}", random.random_range(0..4));
                drop(cluster.kubectl(&["scale", "deployment", "web", &replicas]));
            }
            7 => {
                let image = format!("web={}", if random.random() { WEB_V1 } else { WEB_V2 });
                drop(cluster.kubectl(&["set", "image", "deployment/web", &image]));
            }
            _ => {
                let mut exec = cluster.kubectl_command(&["exec", pod, "--", "sleep", "1000"]);
                let exec = exec.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                sessions.extend(exec.spawn());
            }
        }
    }
    for mut session in sessions {
        let _ = session.kill().and_then(|()| session.wait());
    }
}
