//! Nodes that fall silent, in a simulated world.

use k8s_openapi::api::core::v1::{Node, Pod};

use super::CONTROLLER;
use crate::sim::Sim;

const ROUNDS: usize = 4;

fn node(ready: &str, heartbeat: &str) -> String {
    format!(
        "- {{kind: Node, metadata: {{name: node-1, labels: {{kubernetes.io/os: linux, beta.kubernetes.io/os: linux}}}}, \
         status: {{conditions: [{{type: Ready, status: '{ready}', lastHeartbeatTime: '{heartbeat}'}}]}}}}\n"
    )
}

const POD: &str = "- {kind: Pod, metadata: {namespace: ns, name: pod}, spec: {nodeName: node-1, containers: []}, \
    status: {conditions: [{type: Ready, status: 'True'}]}}\n";

fn taints(sim: &Sim) -> Vec<String> {
    let taints = sim.all::<Node>()[0].spec.clone().unwrap_or_default().taints.unwrap_or_default();
    taints
        .iter()
        .map(|taint| format!("{}:{}", taint.key.trim_start_matches("node.kubernetes.io/"), taint.effect))
        .collect()
}

#[test]
fn a_healthy_node_is_watched() {
    let sim = Sim::new(&[&CONTROLLER], &node("True", "2025-12-31T23:59:50Z"));
    let plan = sim.step(&CONTROLLER, &informer::Key::new(None, "node-1"), None);
    assert!(plan.batches.is_empty());
    assert_eq!(plan.requeue_after.unwrap().as_secs(), 40);
}

#[test]
fn a_lease_counts_as_a_sign_of_life() {
    let lease = "- {kind: Lease, metadata: {namespace: kube-node-lease, name: node-1}, spec: {renewTime: '2025-12-31T23:59:59.000000Z'}}\n";
    let mut sim = Sim::new(&[&CONTROLLER], &[&node("True", "2025-12-31T23:00:00Z"), lease].concat());
    assert!(sim.settle(ROUNDS).is_empty());
}

#[test]
fn a_silent_node_becomes_unknown_and_unreachable() {
    let mut sim = Sim::new(&[&CONTROLLER], &[&node("True", "2025-12-31T23:59:00Z"), POD].concat());
    let done = sim.settle(ROUNDS);
    assert_eq!(done, ["update status of nodes node-1", "update nodes node-1", "patch status of pods ns/pod"]);
    assert_eq!(taints(&sim), ["unreachable:NoSchedule", "unreachable:NoExecute"]);
    assert!(!crate::pods::is_ready(&sim.all::<Pod>()[0]));
    let ready = super::condition(&sim.all::<Node>()[0], "Ready").cloned().unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("Unknown", Some("NodeStatusUnknown")));
}

#[test]
fn a_node_that_returns_loses_its_taints() {
    let mut sim = Sim::new(&[&CONTROLLER], &node("False", "2025-12-31T23:59:50Z"));
    sim.settle(ROUNDS);
    assert_eq!(taints(&sim), ["not-ready:NoSchedule", "not-ready:NoExecute"]);
    sim.edit::<Node>(|node| {
        let conditions = node.status.as_mut().unwrap().conditions.as_mut().unwrap();
        conditions[0].status = "True".into();
    });
    sim.settle(ROUNDS);
    assert!(taints(&sim).is_empty());
}

#[test]
fn cordoned_nodes_are_tainted_and_labels_mirrored() {
    let node = node("True", "2026-01-01T00:00:00Z").replace("status: {", "spec: {unschedulable: true}, status: {");
    let mut sim = Sim::new(&[&CONTROLLER], &node.replace("beta.kubernetes.io/os: linux", "x: x"));
    sim.settle(ROUNDS);
    assert_eq!(taints(&sim), ["unschedulable:NoSchedule"]);
    assert_eq!(sim.all::<Node>()[0].metadata.labels.as_ref().unwrap()["beta.kubernetes.io/os"], "linux");
}

#[test]
fn a_node_that_has_not_reported_keeps_its_taint() {
    let node = "- {kind: Node, metadata: {name: node-1, creationTimestamp: '2026-01-01T00:00:00Z'}, \
        spec: {taints: [{key: node.kubernetes.io/not-ready, effect: NoSchedule}]}}";
    let mut sim = Sim::new(&[&CONTROLLER], node);
    sim.settle(ROUNDS);
    assert_eq!(taints(&sim), ["not-ready:NoSchedule"]);
}
