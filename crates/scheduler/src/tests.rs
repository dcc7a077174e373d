//! Decisions in worlds written as YAML.

mod throughput;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use proptest::prelude::*;

use crate::{Decision, PodInfo, Snapshot, explain, schedule};

/// Reads a YAML list.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    serde_saphyr::from_str(text).unwrap()
}

fn node(name: &str, rest: &str) -> String {
    format!(
        "- {{metadata: {{name: {name}, labels: {{name: {name}}}}}, {rest} \
         status: {{allocatable: {{cpu: '2', memory: 4Gi, pods: '10', example.com/gpu: '1'}}}}}}\n"
    )
}

fn snapshot(nodes: &str, placed: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    read::<Node>(nodes).iter().for_each(|node| snapshot.set_node(node));
    for pod in read::<Pod>(placed) {
        let node = pod.spec.as_ref().unwrap().node_name.clone().unwrap();
        snapshot.place(Arc::new(PodInfo::new(&pod)), &node);
    }
    snapshot
}

/// The name of the node, or the words for why there is none.
fn decide(snapshot: &Snapshot, pod: &str) -> String {
    let pod: Pod = serde_saphyr::from_str(pod).unwrap();
    match schedule(&PodInfo::new(&pod), snapshot, 0) {
        Decision::Place { node, .. } => snapshot.name(node).to_string(),
        Decision::Reject(rejection) => explain(&rejection),
    }
}

fn check(nodes: &str, placed: &str, pod: &str, expected: &str) {
    assert_eq!(decide(&snapshot(nodes, placed), pod), expected);
}

const PLAIN: &str = "{metadata: {name: p, uid: p}, spec: {containers: [{name: c}]}}";
const NOT_HELPFUL: &str =
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
const NO_VICTIMS: &str =
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

fn asking(requests: &str) -> String {
    format!(
        "{{metadata: {{name: p, uid: p}}, spec: {{containers: [{{name: c, resources: {{requests: {{{requests}}}}}}}]}}}}"
    )
}

fn placed(name: &str, on: &str, requests: &str) -> String {
    format!(
        "- {{metadata: {{name: {name}, uid: {name}}}, spec: {{nodeName: {on}, containers: [{{name: c, resources: {{requests: {{{requests}}}}}}}]}}}}\n"
    )
}

#[test]
fn no_nodes() {
    check("[]", "[]", PLAIN, "no nodes available to schedule pods");
}

#[test]
fn resources_are_counted() {
    let one = node("a", "");
    check(&one, "[]", &asking("cpu: '2', memory: 4Gi"), "a");
    check(&one, "[]", &asking("cpu: 2100m"), &format!("0/1 nodes are available: 1 Insufficient cpu. {NO_VICTIMS}"));
    check(
        &one,
        &placed("x", "a", "cpu: '1'"),
        &asking("cpu: 1100m, memory: 5Gi"),
        &format!("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. {NO_VICTIMS}"),
    );
    check(
        &one,
        &placed("x", "a", "example.com/gpu: '1'"),
        &asking("example.com/gpu: '1'"),
        &format!("0/1 nodes are available: 1 Insufficient example.com/gpu. {NO_VICTIMS}"),
    );
    let full: String = (0..10).map(|n| placed(&format!("x{n}"), "a", "")).collect();
    check(&one, &full, PLAIN, &format!("0/1 nodes are available: 1 Too many pods. {NO_VICTIMS}"));
}

#[test]
fn the_emptier_node_is_preferred() {
    let nodes = node("a", "") + &node("b", "");
    check(&nodes, &placed("x", "a", "cpu: '1', memory: 1Gi"), PLAIN, "b");
    check(&nodes, &placed("x", "b", "cpu: '1', memory: 1Gi"), PLAIN, "a");
}

#[test]
fn taints_and_tolerations() {
    let tainted = node("a", "spec: {taints: [{key: k, value: v, effect: NoSchedule}]},");
    check(
        &tainted,
        "[]",
        PLAIN,
        &format!("0/1 nodes are available: 1 node(s) had untolerated taint(s). {NOT_HELPFUL}"),
    );
    let tolerant = PLAIN.replace("spec: {", "spec: {tolerations: [{key: k, operator: Exists}], ");
    check(&tainted, "[]", &tolerant, "a");
    let mild = node("a", "spec: {taints: [{key: k, effect: PreferNoSchedule}]},") + &node("b", "");
    check(&mild, &placed("x", "b", "cpu: '1'"), PLAIN, "b");
}

#[test]
fn cordoned_nodes() {
    let cordoned = node("a", "spec: {unschedulable: true},");
    check(&cordoned, "[]", PLAIN, &format!("0/1 nodes are available: 1 node(s) were unschedulable. {NOT_HELPFUL}"));
    let tolerant = PLAIN.replace("spec: {", "spec: {tolerations: [{operator: Exists}], ");
    check(&cordoned, "[]", &tolerant, "a");
}

#[test]
fn node_selector_and_affinity() {
    let nodes = node("a", "") + &node("b", "");
    check(&nodes, "[]", &PLAIN.replace("spec: {", "spec: {nodeSelector: {name: b}, "), "b");
    let affinity = |how: &str| PLAIN.replace("spec: {", &format!("spec: {{affinity: {{nodeAffinity: {{{how}}}}}, "));
    let required = |term: &str| {
        affinity(&format!("requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{{term}}}]}}"))
    };
    check(&nodes, "[]", &required("matchExpressions: [{key: name, operator: NotIn, values: [a]}]"), "b");
    check(&nodes, "[]", &required("matchFields: [{key: metadata.name, operator: In, values: [b]}]"), "b");
    check(
        &nodes,
        "[]",
        &required("matchExpressions: [{key: missing, operator: Exists}]"),
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
    let preferred = affinity(
        "preferredDuringSchedulingIgnoredDuringExecution: [{weight: 50, preference: {matchExpressions: [{key: name, operator: In, values: [b]}]}}]",
    );
    check(&nodes, "[]", &preferred, "b");
}

#[test]
fn host_ports_conflict_by_address_and_protocol() {
    let with = |port: &str| PLAIN.replace("name: c", &format!("name: c, ports: [{{containerPort: 1, {port}}}]"));
    let taken = "- {metadata: {name: x, uid: x}, spec: {nodeName: a, containers: [{name: c, ports: [{containerPort: 1, hostPort: 80, hostIP: 10.0.0.1}]}]}}";
    let conflict =
        format!("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. {NO_VICTIMS}");
    for (port, expected) in [
        ("hostPort: 80", conflict.as_str()),
        ("hostPort: 80, hostIP: 10.0.0.1", &conflict),
        ("hostPort: 80, hostIP: 10.0.0.2", "a"),
        ("hostPort: 80, protocol: UDP", "a"),
        ("hostPort: 81", "a"),
    ] {
        check(&node("a", ""), taken, &with(port), expected);
    }
}

#[test]
fn images_attract() {
    let image = "images: [{names: ['big:1'], sizeBytes: 1000000000}],";
    let with_image = node("b", "").replace("status: {", &format!("status: {{{image} "));
    check(&(node("a", "") + &with_image), "[]", &PLAIN.replace("name: c", "name: c, image: 'big:1'"), "b");
}

#[test]
fn reasons_of_several_nodes_are_counted_and_sorted() {
    let nodes = node("a", "spec: {taints: [{key: k, effect: NoSchedule}]},") + &node("b", "") + &node("c", "");
    check(
        &nodes,
        "[]",
        &asking("cpu: '3'"),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.",
    );
}

#[test]
fn what_no_plugin_evaluates_is_refused() {
    let claim = PLAIN.replace("spec: {", "spec: {volumes: [{name: v, persistentVolumeClaim: {claimName: c}}], ");
    check(&node("a", ""), "[]", &claim, "0/1 nodes are available: persistent volume claims are not supported yet.");
}

#[test]
fn nodes_come_and_go() {
    let mut snapshot = snapshot(&[node("a", ""), node("b", ""), node("c", "")].concat(), &placed("x", "c", "cpu: '2'"));
    snapshot.remove_node("a");
    assert_eq!(decide(&snapshot, &asking("cpu: '2'")), "b");
    snapshot.remove_node("b");
    assert!(decide(&snapshot, &asking("cpu: '2'")).contains("Insufficient cpu"));
    snapshot.remove_pod("x");
    assert_eq!(decide(&snapshot, &asking("cpu: '2'")), "c");
    snapshot.remove_node("c");
    snapshot.place(Arc::new(PodInfo::new(&read::<Pod>(&placed("early", "d", "cpu: '2'"))[0])), "d");
    read::<Node>(&node("d", "")).iter().for_each(|node| snapshot.set_node(node));
    assert!(decide(&snapshot, &asking("cpu: 1m")).contains("Insufficient cpu"), "the pod was there before its node");
}

proptest! {
    /// Whatever is placed and removed, no node is overcommitted, and nothing is left when all is removed.
    #[test]
    fn nodes_are_never_overcommitted(pods in prop::collection::vec((1..1500_i64, any::<bool>()), 1..60)) {
        let mut snapshot = snapshot(&[node("a", ""), node("b", ""), node("c", "")].concat(), "[]");
        let mut used = std::collections::BTreeMap::<String, i64>::new();
        let mut kept = Vec::new();
        for (number, (cpu, stays)) in pods.iter().enumerate() {
            let text = asking(&format!("cpu: {cpu}m")).replace("uid: p", &format!("uid: p{number}"));
            let pod = Arc::new(PodInfo::new(&serde_saphyr::from_str::<Pod>(&text).unwrap()));
            let Decision::Place { node, .. } = schedule(&pod, &snapshot, number) else { continue };
            let name = snapshot.name(node).to_string();
            snapshot.place(Arc::clone(&pod), &name);
            if *stays {
                *used.entry(name).or_default() += cpu;
                kept.push(pod);
            } else {
                snapshot.remove_pod(&pod.uid);
            }
        }
        prop_assert!(used.values().all(|cpu| *cpu <= 2000));
        kept.iter().for_each(|pod| { snapshot.remove_pod(&pod.uid); });
        prop_assert!(snapshot.requested.cpu.iter().chain(&snapshot.requested.pods).all(|amount| *amount == 0));
        prop_assert!(snapshot.nonzero.iter().all(|amounts| *amounts == (0, 0)));
    }
}
