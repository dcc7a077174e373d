//! Rolls out a pod template through replica sets.

mod history;
mod recreate;
mod rolling;
mod scale;
mod status;
#[cfg(test)]
mod tests;
mod view;

use informer::Key;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use self::view::View;
use super::owners::{claim, controller_key};
use crate::controller::{Controller, On, itself};
use crate::plan::{Change, Plan};
use crate::selector::Matcher;
use crate::world::{World, controller_of};

pub const CONTROLLER: Controller = Controller {
    name: "deployment-controller",
    watches: &[&On::<Deployment>(itself), &On::<ReplicaSet>(deployments_of), &On::<Pod>(deployments_of_pod)],
    step,
    concurrency: 5,
};

/// The deployment that controls a replica set, or those that might adopt it.
fn deployments_of(set: &ReplicaSet, world: &World, keys: &mut Vec<Key>) {
    if controller_of(set).is_some() {
        return keys.extend(controller_key(set, "Deployment"));
    }
    let candidates = world.list_in::<Deployment>(set.metadata.namespace.as_deref().unwrap_or_default());
    let matching = candidates.iter().filter(|deployment| {
        let selector = deployment.spec.as_ref().map(|spec| Matcher::nonempty(&spec.selector));
        selector.is_some_and(|selector| selector.matches(set.metadata.labels.as_ref()))
    });
    keys.extend(matching.map(|deployment| informer::Object::key(&**deployment)));
}

/// A recreating deployment waits for the end of its old pods.
fn deployments_of_pod(pod: &Pod, world: &World, keys: &mut Vec<Key>) {
    let Some(set) = controller_key(pod, "ReplicaSet") else { return };
    let Some(set) = world.get::<ReplicaSet>(set.namespace(), set.name()) else { return };
    let Some(key) = controller_key(&*set, "Deployment") else { return };
    let deployment = world.get::<Deployment>(key.namespace(), key.name());
    if deployment.is_some_and(|deployment| view::is_recreate(&deployment)) {
        keys.push(key);
    }
}

fn step(key: &Key, world: &World, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(deployment) = world.get::<Deployment>(key.namespace(), key.name()) else { return plan };
    let Some(spec) = &deployment.spec else { return plan };
    if spec.selector == LabelSelector::default() {
        selects_all(&deployment, &mut plan);
        return plan;
    }
    let sets = claim::<_, ReplicaSet>(&*deployment, &Matcher::new(&spec.selector), world, &mut plan, |_| true);
    if !plan.is_empty() {
        return plan;
    }
    let view = View::new(&deployment, spec, sets, world, now);
    if deployment.metadata.deletion_timestamp.is_some() {
        status::sync(&view, &mut plan);
        return plan;
    }
    roll(&view, &mut plan);
    plan
}

/// One round of the rollout: the first thing that is due.
fn roll(view: &View<'_>, plan: &mut Plan) {
    if status::pause(view, plan) {
        return;
    }
    if view.spec.paused == Some(true) {
        if !history::sync_revision(view, plan) {
            scale::follow_size(view, plan);
            history::clean_up(view, plan);
            status::sync(view, plan);
        }
        return;
    }
    if scale::is_scaling(view) {
        if !history::sync_revision(view, plan) {
            scale::follow_size(view, plan);
            status::sync(view, plan);
        }
        return;
    }
    if view::is_recreate(view.deployment) { recreate::roll(view, plan) } else { rolling::roll(view, plan) }
}

fn selects_all(deployment: &Deployment, plan: &mut Plan) {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    if observed < deployment.metadata.generation {
        let mut status = deployment.status.clone().unwrap_or_default();
        status.observed_generation = deployment.metadata.generation;
        plan.change(Change::status(&Deployment { status: Some(status), ..deployment.clone() }));
        plan.warning(
            deployment,
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.",
        );
    }
}
