//! Evicts pods from nodes whose NoExecute taints they do not tolerate, or no longer.

#[cfg(test)]
mod tests;

use std::time::Duration;

use informer::Key;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::node_lifecycle::pods_on;
use crate::controller::{Controller, On, itself};
use crate::plan::{Change, Plan, Report};
use crate::pods;
use crate::world::World;

pub const CONTROLLER: Controller = Controller {
    name: "taint-eviction-controller",
    watches: &[&On::<Pod>(itself), &On::<Node>(pods_of)],
    step,
    concurrency: 8,
};

fn pods_of(node: &Node, world: &World, keys: &mut Vec<Key>) {
    if no_execute(node).next().is_some() {
        let pods = pods_on(node.metadata.name.as_deref().unwrap_or_default(), world);
        keys.extend(pods.iter().map(|pod| informer::Object::key(&**pod)));
    }
}

fn no_execute(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| taint.effect == "NoExecute")
}

fn step(key: &Key, world: &World, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(pod) = world.get::<Pod>(key.namespace(), key.name()) else { return plan };
    let node = pods::node_name(&pod).and_then(|name| world.get::<Node>(None, name));
    let Some(node) = node.filter(|_| !pods::is_leaving(&pod)) else { return plan };
    let end = no_execute(&node).filter_map(|taint| tolerated_until(&pod, taint, now)).min();
    match end {
        None => {}
        Some(end) if end > now => {
            let wait = Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO);
            plan.look_again(wait + Duration::from_millis(1));
        }
        Some(_) => evict(&pod, now, &mut plan),
    }
    plan
}

/// When the pod's patience with a taint ends; `None` when it never does.
fn tolerated_until(pod: &Pod, taint: &Taint, now: Timestamp) -> Option<Timestamp> {
    let all = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    let matching: Vec<&Toleration> = all.filter(|toleration| tolerates(toleration, taint)).collect();
    if matching.is_empty() {
        return Some(now);
    }
    let since = taint.time_added.as_ref().map_or(now, |time| time.0);
    let seconds = matching.iter().filter_map(|toleration| toleration.toleration_seconds).min()?;
    Some(since.checked_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(Timestamp::MAX))
}

/// Whether a toleration covers a taint: an empty key with `Exists` covers all, an empty effect every effect.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !(effect.is_empty() || effect == taint.effect) || !(key.is_empty() || key == taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => true,
        "" | "Equal" => {
            !key.is_empty()
                && toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        _ => false,
    }
}

fn evict(pod: &Pod, now: Timestamp, plan: &mut Plan) {
    let report = Report::normal(
        pod,
        "TaintManagerEviction",
        format!(
            "Marking for deletion Pod {}/{}",
            pod.metadata.namespace.as_deref().unwrap_or_default(),
            pod.metadata.name.as_deref().unwrap_or_default(),
        ),
    );
    if pods::condition(pod, "DisruptionTarget").is_none_or(|target| target.status != "True") {
        plan.change(Change::patch_status(pod, disrupted(pod, now)));
    }
    plan.change(Change::delete(pod).reporting(report));
}

/// The status that says why the pod goes.
fn disrupted(pod: &Pod, now: Timestamp) -> serde_json::Value {
    let mut conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    conditions.retain(|condition| condition.type_ != "DisruptionTarget");
    conditions.push(PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByTaintManager".to_owned()),
        message: Some("Taint manager: deleting due to NoExecute taint".to_owned()),
        last_transition_time: Some(Time(now)),
        ..PodCondition::default()
    });
    json!({"status": {"conditions": conditions}})
}
