//! Keeps as many pods of a replica set as its spec says.

mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use informer::Key;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::owners::{claim, controller_key, controller_reference};
use crate::controller::{Controller, On, itself};
use crate::names;
use crate::plan::{Change, Plan, Report};
use crate::pods;
use crate::selector::Matcher;
use crate::world::{World, controller_of};

/// Pods created or deleted by one plan at most.
const BURST: usize = 500;
/// Creations start with this many at once and double while they succeed, so that a hopeless set costs few requests.
const SLOW_START: usize = 1;

pub const CONTROLLER: Controller = Controller {
    name: "replicaset-controller",
    watches: &[&On::<ReplicaSet>(itself), &On::<Pod>(sets_of)],
    step,
    concurrency: 5,
};

/// The set that controls a pod, or those that might adopt it.
fn sets_of(pod: &Pod, world: &World, keys: &mut Vec<Key>) {
    if controller_of(pod).is_some() {
        return keys.extend(controller_key(pod, "ReplicaSet"));
    }
    let candidates = world.list_in::<ReplicaSet>(pod.metadata.namespace.as_deref().unwrap_or_default());
    let matching = candidates.iter().filter(|set| selector(set).matches(pod.metadata.labels.as_ref()));
    keys.extend(matching.map(|set| informer::Object::key(&**set)));
}

fn selector(set: &ReplicaSet) -> Matcher {
    Matcher::nonempty(&spec(set).selector)
}

fn spec(set: &ReplicaSet) -> ReplicaSetSpec {
    set.spec.clone().unwrap_or_default()
}

fn step(key: &Key, world: &World, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(set) = world.get::<ReplicaSet>(key.namespace(), key.name()) else { return plan };
    let children = claim::<_, Pod>(&*set, &selector(&set), world, &mut plan, pods::is_active);
    if !plan.is_empty() {
        return plan;
    }
    let (active, rest): (Vec<_>, Vec<_>) = children.into_iter().partition(|pod| pods::is_active(pod));
    let terminating = rest.iter().filter(|pod| pods::is_terminating(pod)).count();
    status::sync(&set, &active, terminating, world, now, &mut plan);
    if set.metadata.deletion_timestamp.is_none() {
        manage(&set, active, world, now, &mut plan);
    }
    plan
}

fn manage(set: &ReplicaSet, active: Vec<Arc<Pod>>, world: &World, now: Timestamp, plan: &mut Plan) {
    let wanted = usize::try_from(spec(set).replicas.unwrap_or(1)).unwrap_or(0);
    if active.len() < wanted {
        create(set, (wanted - active.len()).min(BURST), world, plan);
    } else if active.len() > wanted {
        let count = (active.len() - wanted).min(BURST);
        delete(set, active, count, world, now, plan);
    }
}

/// Creations in batches that double, the next only after all of one succeeded.
fn create(set: &ReplicaSet, count: usize, world: &World, plan: &mut Plan) {
    report_failure(set, "FailedCreate", "Error creating", "create", world, plan);
    let mut changes = new_pods(set, world).take(count).map(|pod| {
        let message = format!("Created pod: {}", pod.metadata.name.as_deref().unwrap_or_default());
        Change::create(&pod).reporting(Report::normal(set, "SuccessfulCreate", message))
    });
    let mut size = SLOW_START;
    loop {
        let batch: Vec<Change> = changes.by_ref().take(size).collect();
        if batch.is_empty() {
            return;
        }
        plan.batch(batch);
        size *= 2;
    }
}

fn report_failure(set: &ReplicaSet, reason: &'static str, what: &str, verb: &str, world: &World, plan: &mut Plan) {
    if let Some(failure) = world.failure().filter(|failure| failure.verb == verb) {
        plan.failed.push(Report::warning(set, reason, format!("{what}: {}", failure.message)));
    }
}

/// Pods after the set's template, under names that nobody has.
fn new_pods<'a>(set: &'a ReplicaSet, world: &'a World) -> impl Iterator<Item = Pod> + 'a {
    let namespace = set.metadata.namespace.as_deref();
    let base = set.metadata.name.as_deref().unwrap_or_default();
    let uid = set.metadata.uid.as_deref().unwrap_or_default();
    let names = (0..).map(move |number| names::child(base, uid, world.nonce(), number));
    let template = spec(set).template.unwrap_or_default();
    names.filter(move |name| world.get::<Pod>(namespace, name).is_none()).map(move |name| {
        let meta = template.metadata.clone().unwrap_or_default();
        Pod {
            metadata: ObjectMeta {
                name: Some(name),
                generate_name: Some(format!("{base}-")),
                namespace: set.metadata.namespace.clone(),
                labels: meta.labels,
                annotations: meta.annotations,
                finalizers: meta.finalizers,
                owner_references: Some(vec![controller_reference(set)]),
                ..ObjectMeta::default()
            },
            spec: template.spec.clone(),
            status: None,
        }
    })
}

fn delete(set: &ReplicaSet, mut active: Vec<Arc<Pod>>, count: usize, world: &World, now: Timestamp, plan: &mut Plan) {
    if count < active.len() {
        pods::sort_for_deletion(&mut active, &related(set, world), now);
    }
    report_failure(set, "FailedDelete", "Error deleting", "delete", world, plan);
    let changes = active.iter().take(count).map(|pod| {
        let message = format!("Deleted pod: {}", pod.metadata.name.as_deref().unwrap_or_default());
        Change::delete(&**pod).reporting(Report::normal(set, "SuccessfulDelete", message))
    });
    plan.batch(changes.collect());
}

/// Active pods on each node of this set and of its siblings under the same controller.
fn related(set: &ReplicaSet, world: &World) -> BTreeMap<String, usize> {
    let own = set.metadata.uid.clone().unwrap_or_default();
    let sets: Vec<String> = match controller_of(set) {
        Some(owner) => {
            let siblings = world.controlled::<ReplicaSet>(&owner.uid);
            siblings.iter().filter_map(|sibling| sibling.metadata.uid.clone()).collect()
        }
        None => vec![own],
    };
    let mut counts = BTreeMap::new();
    for pod in sets.iter().flat_map(|uid| world.controlled::<Pod>(uid)).filter(|pod| pods::is_active(pod)) {
        if let Some(node) = pods::node_name(&pod) {
            *counts.entry(node.to_owned()).or_default() += 1;
        }
    }
    counts
}
