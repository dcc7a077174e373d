//! The whole program is killed, and started again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testing::Cluster;
use testing::image::WEB_V1;
use tokio::time::Instant;

use crate::pods::{GET, list, plain, processes, running as pod, seen, service, settled};
use crate::{SOON, cluster, load_factor, turn};

/// How long a start may take until every pod is seen, on a machine that has nothing else to do.
const READY: Duration = Duration::from_secs(2);

/// Objects that are being written when the program is killed; and how many of them are waited for.
const WRITTEN: usize = 200;
const ACKNOWLEDGED: usize = 40;

#[test]
fn pods_connections_and_writes_survive_a_kill() {
    let _turn = turn();
    let Some(cluster) = cluster() else { return };
    start_pods(&cluster);
    let before = settled(&cluster);
    let running = processes(&cluster);
    let revision = revision(&cluster);
    let acknowledged = kill_while_writing(&cluster);
    // The connection through the Service carries on while nobody is there.
    let dead = said(&cluster);
    until_said(&cluster, dead + 5);
    let started = Instant::now();
    cluster.up().expect("coracle up");
    let up = started.elapsed();
    let after = seen(cluster.kubectl(GET)).expect("pods are listed");
    cluster.kubectl(&["exec", "client", "--", "true"]).expect("exec");
    let (all, limit) = (started.elapsed(), READY.mul_f64(load_factor()));
    println!("ready after {} ms, pods seen and entered after {} ms (limit {limit:?})", up.as_millis(), all.as_millis());
    assert!(all <= limit, "{all:?}, the limit is {limit:?} on this machine now");
    assert_eq!(after, before, "nothing has changed for any pod");
    let node = ["get", "node", "node", "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"];
    assert_eq!(cluster.kubectl(&node).expect("the node"), "True");
    assert_eq!(processes(&cluster), running);
    nothing_is_lost(&cluster, &acknowledged, &revision);
    let now = said(&cluster);
    until_said(&cluster, now + 5);
    assert_eq!(settled(&cluster), before);
    new_work_is_done(&cluster);
    cluster.down().expect("coracle down");
}

fn start_pods(cluster: &Cluster) {
    let mut items =
        vec![pod("server", "exec nc -ll -p 9000 -e cat"), service("server", 9000), plain("idle"), probed("probed")];
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&items)).expect("apply");
    let image = format!("--image={WEB_V1}");
    cluster.kubectl(&["create", "deployment", "web", &image, "--replicas=3"]).expect("create deployment");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/server", "--timeout=60s"]).expect("the server runs");
    let address = cluster.kubectl(&["get", "service", "server", "-o", "jsonpath={.spec.clusterIP}"]).expect("get");
    // What it prints came back over its one connection.
    let client = format!("i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done | nc {address} 80");
    items = vec![pod("client", &client)];
    cluster.kubectl_with(&["apply", "-f", "-"], &list(&items)).expect("apply");
    cluster.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]).expect("rollout");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]).expect("the client runs");
    until_said(cluster, 5);
}

/// A pod whose readiness and liveness are asked for.
fn probed(name: &str) -> Value {
    let mut pod = plain(name);
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
    pod["spec"]["containers"][0]["readinessProbe"] = probe.clone();
    pod["spec"]["containers"][0]["livenessProbe"] = probe;
    pod
}

/// The last number that came back to the client, read from its log on disk: the numbers have no gap and no second
/// beginning.
fn said(cluster: &Cluster) -> usize {
    let pods = std::fs::read_dir(cluster.data_dir().join("logs/pods")).into_iter().flatten().flatten();
    let client = pods.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("/default_client_"));
    let log = client.and_then(|path| std::fs::read_to_string(path.join("main/0.log")).ok()).unwrap_or_default();
    let numbers: Vec<usize> = log.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len()), "{numbers:?}");
    numbers.len()
}

fn until_said(cluster: &Cluster, number: usize) {
    let patience = Instant::now() + SOON;
    while said(cluster) < number {
        assert!(Instant::now() < patience, "the client has not said {number}\n{}", cluster.log());
        std::thread::yield_now();
    }
}

fn revision(cluster: &Cluster) -> String {
    let listed = cluster.kubectl(&["get", "--raw", "/api/v1/namespaces/default/configmaps"]).expect("list");
    let listed: Value = serde_json::from_str(&listed).expect("a list");
    listed["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned()
}

/// Kills the program in the midst of writes. Returns the names of those that were acknowledged.
fn kill_while_writing(cluster: &Cluster) -> Vec<String> {
    let object = |i| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("written-{i}")}});
    let objects: Vec<Value> = (0..WRITTEN).map(object).collect();
    let mut command = cluster.kubectl_command(&["create", "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child: Child = command.spawn().expect("kubectl starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(list(&objects).as_bytes()).expect("it reads");
    drop(input);
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let mut acknowledged: Vec<String> = lines.by_ref().take(ACKNOWLEDGED).collect();
    cluster.end(Signal::SIGKILL).expect("the program is killed");
    acknowledged.extend(lines);
    let _ = child.wait();
    let names = acknowledged.iter().filter_map(|line| line.strip_suffix(" created")?.strip_prefix("configmap/"));
    names.map(str::to_owned).collect()
}

/// All that was acknowledged is there, and a watch from before the kill tells of it.
fn nothing_is_lost(cluster: &Cluster, acknowledged: &[String], revision: &str) {
    assert!(acknowledged.len() >= ACKNOWLEDGED, "{acknowledged:?}");
    let listed = cluster.kubectl(&["get", "configmaps", "-o", "name"]).expect("list");
    let watch = format!("/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&resourceVersion={revision}");
    let told = cluster.kubectl(&["get", "--raw", &watch]).expect("watch");
    for name in acknowledged {
        assert!(listed.lines().any(|line| line == format!("configmap/{name}")), "{name} is lost");
        assert!(told.contains(&format!("\"name\":\"{name}\"")), "the watch does not tell of {name}: {told}");
    }
    println!("{} writes were acknowledged, all are there", acknowledged.len());
}

fn new_work_is_done(cluster: &Cluster) {
    cluster.kubectl(&["scale", "deployment", "web", "--replicas=4"]).expect("scale");
    cluster.kubectl(&["rollout", "status", "deployment", "web", "--timeout=60s"]).expect("rollout");
    cluster.kubectl(&["delete", "pod", "idle"]).expect("delete");
    assert_eq!(settled(cluster).len(), 7);
}
