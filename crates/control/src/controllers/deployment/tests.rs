//! Deployments and their replica sets in a simulated world.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::CONTROLLER;
use super::view::size;
use crate::controllers::replicaset;
use crate::pods;
use crate::sim::Sim;

/// Rounds in which both controllers settle once nothing changes from outside.
const ROUNDS: usize = 10;

fn deployment(replicas: i32, rest: &str) -> String {
    format!(
        "- {{kind: Deployment, metadata: {{namespace: ns, name: web, generation: 1}}, spec: {{replicas: {replicas}, {rest} \
         progressDeadlineSeconds: 600, revisionHistoryLimit: 2, selector: {{matchLabels: {{app: web}}}}, \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: c, image: 'i:1'}}]}}}}}}}}"
    )
}

fn sim(world: &str) -> Sim {
    Sim::new(&[&CONTROLLER, &replicaset::CONTROLLER], world)
}

fn make_ready(sim: &mut Sim, how_many: usize) {
    let now = sim.now;
    let unready: Vec<String> = sim
        .all::<Pod>()
        .iter()
        .filter(|pod| !pods::is_ready(pod))
        .take(how_many)
        .map(|pod| pod.metadata.name.clone().unwrap())
        .collect();
    sim.edit::<Pod>(|pod| {
        if !unready.contains(pod.metadata.name.as_ref().unwrap()) {
            return;
        }
        pod.status.get_or_insert_default().conditions = Some(vec![PodCondition {
            type_: "Ready".into(),
            status: "True".into(),
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        }]);
    });
}

/// Settles, makes all pods ready, and settles again, until nothing changes.
fn run(sim: &mut Sim) {
    for _ in 0..20 {
        sim.settle(ROUNDS);
        if sim.all::<Pod>().iter().all(|pod| pods::is_ready(pod)) {
            return;
        }
        make_ready(sim, usize::MAX);
    }
    panic!("the rollout does not end");
}

fn status(sim: &Sim) -> DeploymentStatus {
    sim.all::<Deployment>()[0].status.clone().unwrap()
}

fn condition(sim: &Sim, kind: &str) -> (String, String) {
    let condition = status(sim).conditions.unwrap().into_iter().find(|condition| condition.type_ == kind).unwrap();
    (condition.status, condition.reason.unwrap())
}

fn set_image(sim: &mut Sim, image: &str) {
    sim.edit::<Deployment>(|deployment| {
        *deployment.metadata.generation.as_mut().unwrap() += 1;
        let template = &mut deployment.spec.as_mut().unwrap().template;
        template.spec.as_mut().unwrap().containers[0].image = Some(image.into());
    });
}

fn resize(sim: &mut Sim, replicas: i32) {
    sim.edit::<Deployment>(|deployment| {
        *deployment.metadata.generation.as_mut().unwrap() += 1;
        deployment.spec.as_mut().unwrap().replicas = Some(replicas);
    });
}

/// Sizes of the sets by image.
fn sizes(sim: &Sim) -> BTreeMap<String, i32> {
    let image = |set: &ReplicaSet| {
        let template = set.spec.as_ref().unwrap().template.as_ref().unwrap();
        template.spec.as_ref().unwrap().containers[0].image.clone().unwrap()
    };
    sim.all::<ReplicaSet>().iter().map(|set| (image(set), size(set))).collect()
}

fn revision(sim: &Sim) -> String {
    sim.all::<Deployment>()[0].metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"].clone()
}

#[test]
fn a_new_deployment_rolls_out() {
    let mut sim = sim(&deployment(3, ""));
    sim.settle(ROUNDS);
    assert_eq!(condition(&sim, "Available"), ("False".into(), "MinimumReplicasUnavailable".into()));
    assert_eq!(condition(&sim, "Progressing"), ("True".into(), "ReplicaSetUpdated".into()));
    run(&mut sim);
    assert_eq!(condition(&sim, "Available"), ("True".into(), "MinimumReplicasAvailable".into()));
    assert_eq!(condition(&sim, "Progressing"), ("True".into(), "NewReplicaSetAvailable".into()));
    let status = status(&sim);
    assert_eq!((status.replicas, status.available_replicas, status.unavailable_replicas), (Some(3), Some(3), None));
    assert_eq!(revision(&sim), "1");
    let set = sim.all::<ReplicaSet>().remove(0);
    let hash = set.metadata.labels.as_ref().unwrap()["pod-template-hash"].clone();
    assert_eq!(set.metadata.name.as_deref(), Some(format!("web-{hash}").as_str()));
    assert!(sim.events[0].starts_with("Normal ScalingReplicaSet Scaled up replica set web-"), "{:?}", sim.events);
}

#[test]
fn a_changed_template_rolls_within_its_bounds_and_can_be_rolled_back() {
    let mut sim = sim(&deployment(4, "strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}},"));
    run(&mut sim);
    set_image(&mut sim, "i:2");
    for _ in 0..40 {
        sim.settle(ROUNDS);
        let pods = sim.all::<Pod>();
        let ready = pods.iter().filter(|pod| pods::is_ready(pod)).count();
        assert!(pods.len() <= 5 && ready >= 3, "{} pods, {ready} ready", pods.len());
        if ready == pods.len() {
            break;
        }
        make_ready(&mut sim, 1);
    }
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 0), ("i:2".into(), 4)]));
    assert_eq!(revision(&sim), "2");
    set_image(&mut sim, "i:1");
    run(&mut sim);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 4), ("i:2".into(), 0)]));
    assert_eq!(revision(&sim), "3");
}

#[test]
fn scaling_in_the_middle_of_a_roll_is_proportional() {
    let mut sim = sim(&deployment(10, "strategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 2}},"));
    run(&mut sim);
    set_image(&mut sim, "i:2");
    sim.settle(ROUNDS);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 8), ("i:2".into(), 5)]));
    resize(&mut sim, 15);
    sim.settle(ROUNDS);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 11), ("i:2".into(), 7)]));
}

#[test]
fn recreate_ends_all_old_pods_first() {
    let mut sim = sim(&deployment(2, "strategy: {type: Recreate},"));
    run(&mut sim);
    set_image(&mut sim, "i:2");
    sim.edit::<Pod>(|pod| pod.metadata.finalizers = Some(vec!["slow".into()]));
    sim.settle(ROUNDS);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 0)]), "old pods are still ending");
    for pod in sim.all::<Pod>() {
        let target = crate::resource::Target::of(&*pod);
        sim.edit::<Pod>(|pod| pod.metadata.finalizers = None);
        sim.delete(&target);
    }
    sim.settle(ROUNDS);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 0), ("i:2".into(), 2)]));
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut sim = sim(&deployment(2, ""));
    run(&mut sim);
    sim.edit::<Deployment>(|deployment| deployment.spec.as_mut().unwrap().paused = Some(true));
    set_image(&mut sim, "i:2");
    resize(&mut sim, 3);
    run(&mut sim);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 3)]));
    assert_eq!(condition(&sim, "Progressing"), ("Unknown".into(), "DeploymentPaused".into()));
    sim.edit::<Deployment>(|deployment| deployment.spec.as_mut().unwrap().paused = None);
    run(&mut sim);
    assert_eq!(sizes(&sim), BTreeMap::from([("i:1".into(), 0), ("i:2".into(), 3)]));
}

#[test]
fn a_stuck_rollout_times_out() {
    let mut sim = sim(&deployment(1, ""));
    sim.settle(ROUNDS);
    let plan = sim.step(&CONTROLLER, &informer::Key::new(Some("ns"), "web"), None);
    assert!(plan.requeue_after.is_some_and(|wait| wait.as_secs() <= 600), "{plan:?}");
    sim.pass(601);
    sim.settle(ROUNDS);
    assert_eq!(condition(&sim, "Progressing"), ("False".into(), "ProgressDeadlineExceeded".into()));
    run(&mut sim);
    assert_eq!(condition(&sim, "Progressing"), ("True".into(), "NewReplicaSetAvailable".into()));
}

#[test]
fn old_revisions_are_forgotten_beyond_the_limit() {
    let mut sim = sim(&deployment(1, ""));
    for image in ["i:1", "i:2", "i:3", "i:4", "i:5"] {
        set_image(&mut sim, image);
        sim.pass(10);
        run(&mut sim);
    }
    assert_eq!(sizes(&sim).into_keys().collect::<Vec<_>>(), ["i:3", "i:4", "i:5"]);
}

#[test]
fn a_taken_name_leads_to_another_hash() {
    let mut first = sim(&deployment(1, ""));
    first.settle(ROUNDS);
    let taken = first.all::<ReplicaSet>()[0].metadata.name.clone().unwrap();
    let stranger = format!(
        "\n- {{kind: ReplicaSet, metadata: {{namespace: ns, name: {taken}, ownerReferences: [{{apiVersion: x/v1, kind: X, name: x, uid: x, controller: true}}]}}, spec: {{replicas: 0, selector: {{matchLabels: {{a: b}}}}}}}}"
    );
    let mut sim = sim(&(deployment(1, "") + &stranger));
    sim.settle(ROUNDS);
    assert_eq!(status(&sim).collision_count, Some(1));
    assert_eq!(sim.all::<ReplicaSet>().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Any series of changes ends in one set of the wanted size.
    #[test]
    fn deployments_settle(changes in prop::collection::vec((0..3_usize, 0..6_i32), 1..6), surge in 0..3_i32, unavailable in 0..3_i32) {
        let mut sim = sim(&deployment(3, &format!("strategy: {{rollingUpdate: {{maxSurge: {surge}, maxUnavailable: {unavailable}}}}},")));
        for (image, replicas) in &changes {
            set_image(&mut sim, ["i:1", "i:2", "i:3"][*image]);
            resize(&mut sim, *replicas);
            sim.round();
            make_ready(&mut sim, 1);
            sim.round();
        }
        run(&mut sim);
        let (image, replicas) = changes.last().unwrap();
        let sizes: BTreeMap<String, i32> = sizes(&sim).into_iter().filter(|(_, size)| *size > 0).collect();
        let expected = [(["i:1", "i:2", "i:3"][*image].to_owned(), *replicas)].into_iter().filter(|(_, size)| *size > 0).collect();
        prop_assert_eq!(sizes, expected);
    }
}
