//! Namespaces that go, in a simulated world.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};

use super::CONTROLLER;
use crate::controllers::{replicaset, root_ca, serviceaccount};
use crate::sim::Sim;

const LEAVING: &str = "- {kind: Namespace, metadata: {name: ns, deletionTimestamp: '2026-01-01T00:00:00Z'}, spec: {finalizers: [kubernetes]}, status: {phase: Terminating}}\n";

/// The other controllers are there for their types.
fn sim(world: &str) -> Sim {
    let mut sim = Sim::new(&[&CONTROLLER, &replicaset::CONTROLLER, &root_ca::CONTROLLER], world);
    sim.only(&CONTROLLER);
    sim
}

fn key() -> informer::Key {
    informer::Key::new(None, "ns")
}

#[test]
fn an_empty_namespace_goes() {
    let mut sim = sim(LEAVING);
    assert_eq!(sim.settle(3), ["update finalize of namespaces ns"]);
    assert!(sim.all::<Namespace>().is_empty());
}

#[test]
fn pods_go_first() {
    let mut sim = sim(&[
        LEAVING,
        "- {kind: Pod, metadata: {namespace: ns, name: a}}\n",
        "- {kind: ConfigMap, metadata: {namespace: ns, name: b}}\n",
        "- {kind: ConfigMap, metadata: {namespace: other, name: b}}\n",
    ]
    .concat());
    let done = sim.settle(6);
    let deletions: Vec<&String> = done.iter().filter(|change| change.starts_with("delete all")).collect();
    assert_eq!(deletions, ["delete all pods ns/", "delete all configmaps ns/"]);
    assert_eq!(sim.all::<ConfigMap>().len(), 1);
    assert!(sim.all::<Namespace>().is_empty());
}

#[test]
fn what_is_held_is_reported() {
    let mut sim =
        sim(&[LEAVING, "- {kind: ConfigMap, metadata: {namespace: ns, name: b, finalizers: [x/y]}}\n"].concat());
    sim.round();
    sim.round();
    let plan = sim.step(&CONTROLLER, &key(), None);
    assert!(plan.batches.is_empty() && plan.requeue_after.is_some(), "{plan:?}");
    let conditions = sim.all::<Namespace>()[0].status.clone().unwrap().conditions.unwrap();
    let message =
        |kind: &str| conditions.iter().find(|condition| condition.type_ == kind).unwrap().message.clone().unwrap();
    assert_eq!(
        message("NamespaceContentRemaining"),
        "Some resources are remaining: configmaps. has 1 resource instances"
    );
    assert_eq!(
        message("NamespaceFinalizersRemaining"),
        "Some content in the namespace has finalizers remaining: x/y in 1 resource instances"
    );
}

#[test]
fn other_namespaces_stay() {
    let mut sim = sim("- {kind: Namespace, metadata: {name: ns}, spec: {finalizers: [kubernetes]}}");
    assert!(sim.round().is_empty());
}

#[test]
fn new_namespaces_are_furnished() {
    let world = [
        "- {kind: Namespace, metadata: {name: ns}, spec: {finalizers: [kubernetes]}}\n",
        &LEAVING.replace("name: ns", "name: leaving"),
    ]
    .concat();
    let mut sim = Sim::new(&[&serviceaccount::CONTROLLER, &root_ca::CONTROLLER], &world);
    assert_eq!(sim.settle(2), ["create serviceaccounts ns/default", "create configmaps ns/kube-root-ca.crt"]);
    sim.edit::<ConfigMap>(|map| map.data = None);
    assert_eq!(sim.settle(2), ["update configmaps ns/kube-root-ca.crt"]);
}
