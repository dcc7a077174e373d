//! Replica sets in a simulated world.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::CONTROLLER;
use crate::sim::Sim;

/// Rounds in which a set settles once nothing changes from outside.
const ROUNDS: usize = 4;

fn set(replicas: i32, rest: &str) -> String {
    format!(
        "- {{kind: ReplicaSet, metadata: {{namespace: ns, name: web, generation: 1}}, spec: {{replicas: {replicas}, {rest} \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
         spec: {{containers: [{{name: c, image: i}}]}}}}}}}}\n"
    )
}

fn pod(name: &str, rest: &str) -> String {
    let owner = "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: uid-web, controller: true}]";
    format!("- {{kind: Pod, metadata: {{namespace: ns, name: {name}, labels: {{app: web}}, {owner}}}, {rest}}}\n")
}

fn sim(world: &str) -> Sim {
    Sim::new(&[&CONTROLLER], world)
}

fn check(world: &str, expected: &[&str]) {
    assert_eq!(sim(world).round(), expected);
}

fn status(sim: &Sim) -> (i32, i32, i32) {
    let status = sim.all::<ReplicaSet>()[0].status.clone().unwrap();
    (status.replicas, status.ready_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0))
}

fn make_ready(sim: &mut Sim) {
    let now = sim.now;
    sim.edit::<Pod>(|pod| {
        let ready = PodCondition {
            type_: "Ready".into(),
            status: "True".into(),
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        };
        pod.status.get_or_insert_default().conditions = Some(vec![ready]);
    });
}

#[test]
fn missing_pods_are_created_in_doubling_batches() {
    let mut sim = sim(&set(5, ""));
    let key = informer::Key::new(Some("ns"), "web");
    let plan = sim.step(&CONTROLLER, &key, None);
    let sizes: Vec<usize> = plan.batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 2, 2], "the status, then the pods");
    sim.settle(ROUNDS);
    assert_eq!(sim.all::<Pod>().len(), 5);
    assert_eq!(status(&sim), (5, 0, 0));
    assert_eq!(
        sim.events.iter().filter(|event| event.starts_with("Normal SuccessfulCreate Created pod: web-")).count(),
        5
    );
    let pod = sim.all::<Pod>().remove(0);
    let owner = &pod.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.uid.as_str(), owner.controller, owner.block_owner_deletion), ("uid-web", Some(true), Some(true)));
}

#[test]
fn ready_and_available_are_counted() {
    let mut sim = sim(&set(2, "minReadySeconds: 30,"));
    sim.settle(ROUNDS);
    make_ready(&mut sim);
    sim.settle(ROUNDS);
    assert_eq!(status(&sim), (2, 2, 0));
    let plan = sim.step(&CONTROLLER, &informer::Key::new(Some("ns"), "web"), None);
    assert_eq!(plan.requeue_after.unwrap().as_secs(), 30);
    sim.pass(31);
    sim.settle(ROUNDS);
    assert_eq!(status(&sim), (2, 2, 2));
}

#[test]
fn surplus_pods_go_in_order_of_least_loss() {
    let ready = "status: {phase: Running, conditions: [{type: Ready, status: 'True', lastTransitionTime: '2025-12-31T00:00:00Z'}]}";
    let world = [
        set(1, ""),
        pod("ready", &format!("spec: {{nodeName: node-1, containers: []}}, {ready}")),
        pod("unready", "spec: {nodeName: node-1, containers: []}, status: {phase: Running}"),
        pod("pending", "spec: {nodeName: node-1, containers: []}, status: {phase: Pending}"),
        pod("unassigned", "spec: {containers: []}, status: {phase: Pending}"),
    ];
    check(
        &world.concat(),
        &[
            "update status of replicasets.apps ns/web",
            "delete pods ns/unassigned",
            "delete pods ns/pending",
            "delete pods ns/unready",
        ],
    );
}

#[test]
fn finished_pods_do_not_count() {
    let mut sim = sim(&[set(1, ""), pod("done", "status: {phase: Failed}")].concat());
    sim.settle(ROUNDS);
    assert_eq!(sim.all::<Pod>().len(), 2);
}

#[test]
fn matching_orphans_are_adopted_and_others_released() {
    let orphan = "- {kind: Pod, metadata: {namespace: ns, name: orphan, labels: {app: web}}}\n";
    let stranger = "- {kind: Pod, metadata: {namespace: ns, name: stranger, labels: {app: other}, \
        ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: uid-web, controller: true}]}}\n";
    let mut sim = sim(&[&set(1, ""), orphan, stranger].concat());
    assert_eq!(sim.round(), ["patch pods ns/stranger"]);
    assert_eq!(sim.round(), ["patch pods ns/orphan"]);
    assert_eq!(sim.round(), ["update status of replicasets.apps ns/web"]);
    sim.settle(ROUNDS);
    let owners = |name: &str| {
        sim.all::<Pod>()
            .iter()
            .find(|pod| pod.metadata.name.as_deref() == Some(name))
            .unwrap()
            .metadata
            .owner_references
            .clone()
            .unwrap_or_default()
    };
    assert_eq!(owners("orphan")[0].uid, "uid-web");
    assert!(owners("stranger").is_empty());
}

#[test]
fn a_refusal_shows_as_condition_and_event_until_it_ends() {
    let mut sim = sim(&set(2, ""));
    sim.refused.insert("pods", "exceeded quota");
    sim.round();
    let condition = sim.all::<ReplicaSet>()[0].status.clone().unwrap().conditions.unwrap().remove(0);
    assert_eq!((condition.type_.as_str(), condition.reason.as_deref()), ("ReplicaFailure", Some("FailedCreate")));
    assert_eq!(sim.events, ["Warning FailedCreate Error creating: exceeded quota"]);
    sim.refused.clear();
    sim.settle(ROUNDS);
    assert_eq!(sim.all::<ReplicaSet>()[0].status.clone().unwrap().conditions, None);
}

#[test]
fn a_leaving_set_is_left_alone() {
    let world = set(3, "")
        .replace("generation: 1", "generation: 1, finalizers: [x], deletionTimestamp: '2025-12-31T00:00:00Z'");
    check(&world, &["update status of replicasets.apps ns/web"]);
}

proptest! {
    /// From any number of pods in any state, the set settles at its size within the declared rounds.
    #[test]
    fn sets_settle(replicas in 0..8_i32, phases in prop::collection::vec(0..4_usize, 0..10)) {
        let mut world = set(replicas, "");
        for (number, phase) in phases.iter().enumerate() {
            let phase = ["Pending", "Running", "Failed", "Succeeded"][*phase];
            world.push_str(&pod(&format!("p{number}"), &format!("status: {{phase: {phase}}}")));
        }
        let mut sim = sim(&world);
        sim.settle(ROUNDS);
        let active = sim.all::<Pod>().iter().filter(|pod| crate::pods::is_active(pod)).count();
        prop_assert_eq!(active, usize::try_from(replicas).unwrap());
        prop_assert_eq!(status(&sim).0, replicas);
    }
}
