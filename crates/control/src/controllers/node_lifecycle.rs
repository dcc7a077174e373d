//! Notices nodes that stop reporting, and marks nodes and their pods accordingly.

mod taints;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use informer::Key;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::controller::{Controller, On, itself};
use crate::plan::{Change, Plan};
use crate::pods;
use crate::world::World;

const LEASES: &str = "kube-node-lease";
/// How long a node may be silent before it counts as unreachable.
const GRACE: SignedDuration = SignedDuration::from_secs(50);
/// How long a new node may take to report for the first time.
const START_GRACE: SignedDuration = SignedDuration::from_secs(60);
/// The conditions that a silent node no longer vouches for.
const VOUCHED: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Deprecated labels and the ones they follow.
const MIRRORED_LABELS: &[(&str, &str)] =
    &[("beta.kubernetes.io/os", "kubernetes.io/os"), ("beta.kubernetes.io/arch", "kubernetes.io/arch")];

/// Silence is measured against the node's own timestamps: the clocks of a cluster are expected to agree within seconds.
pub const CONTROLLER: Controller = Controller {
    name: "node-lifecycle-controller",
    watches: &[&On::<Node>(itself), &On::<Lease>(node_of_lease), &On::<Pod>(node_of_pod)],
    step,
    concurrency: 8,
};

fn node_of_lease(lease: &Lease, world: &World, keys: &mut Vec<Key>) {
    if lease.metadata.namespace.as_deref() != Some(LEASES) {
        return;
    }
    let name = lease.metadata.name.as_deref().unwrap_or_default();
    // A healthy node's renewals need no look: the step that is planned for its deadline reads the newest one.
    if world.get::<Node>(None, name).is_some_and(|node| ready_status(&node) != Some("True")) {
        keys.push(Key::new(None, name));
    }
}

/// Pods concern us only on nodes that are not ready.
fn node_of_pod(pod: &Pod, world: &World, keys: &mut Vec<Key>) {
    let Some(name) = pods::node_name(pod) else { return };
    if world.get::<Node>(None, name).is_some_and(|node| ready_status(&node) == Some("Unknown")) {
        keys.push(Key::new(None, name));
    }
}

pub(super) fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn ready_status(node: &Node) -> Option<&str> {
    condition(node, "Ready").map(|ready| ready.status.as_str())
}

fn step(key: &Key, world: &World, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(node) = world.get::<Node>(None, key.name()) else { return plan };
    if let Some(change) = mirror_labels(&node) {
        plan.change(change);
        return plan;
    }
    let deadline = deadline(&node, world);
    if deadline <= now {
        if let Some(change) = silence(&node, now) {
            plan.change(change);
            return plan;
        }
    } else {
        let wait = Duration::try_from(deadline.duration_since(now)).unwrap_or(Duration::ZERO);
        plan.look_again(wait + Duration::from_millis(1));
    }
    if let Some(change) = taints::sync(&node, now) {
        if ready_status(&node) != Some("True") {
            let name = key.name();
            plan.normal(&*node, "NodeNotReady", format!("Node {name} status is now: NodeNotReady"));
        }
        plan.change(change);
        return plan;
    }
    if ready_status(&node) == Some("Unknown") {
        mark_pods(key.name(), world, now, &mut plan);
    }
    plan
}

/// When the node counts as silent: its last sign of life and the grace it has.
fn deadline(node: &Node, world: &World) -> Timestamp {
    let lease = world.get::<Lease>(Some(LEASES), node.metadata.name.as_deref().unwrap_or_default());
    let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0));
    // The heartbeat of a condition that we set ourselves is the node's last one.
    let reported = condition(node, "Ready").and_then(|ready| ready.last_heartbeat_time.as_ref().map(|time| time.0));
    match (renewed, reported) {
        (None, None) => {
            let created = node.metadata.creation_timestamp.as_ref().map(|time| time.0);
            created.unwrap_or(Timestamp::UNIX_EPOCH) + START_GRACE
        }
        (a, b) => a.max(b).unwrap_or(Timestamp::UNIX_EPOCH) + GRACE,
    }
}

/// Marks all that a silent node vouched for as unknown.
fn silence(node: &Node, now: Timestamp) -> Option<Change> {
    let mut conditions = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    for kind in VOUCHED {
        match conditions.iter_mut().find(|condition| condition.type_ == *kind) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: (*kind).to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
            }),
        }
    }
    let mut status = node.status.clone().unwrap_or_default();
    status.conditions = Some(conditions);
    (node.status.as_ref() != Some(&status)).then(|| Change::status(&Node { status: Some(status), ..node.clone() }))
}

/// Nobody vouches for the pods of a silent node.
fn mark_pods(node: &str, world: &World, now: Timestamp, plan: &mut Plan) {
    let ready = pods_on(node, world).into_iter().filter(|pod| pods::is_ready(pod));
    let marks = ready.map(|pod| {
        let mut conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        for condition in conditions.iter_mut().filter(|condition| condition.type_ == "Ready") {
            condition.status = "False".to_owned();
            condition.last_transition_time = Some(Time(now));
        }
        let version = &pod.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "status": {"conditions": conditions}});
        let report = crate::plan::Report::warning(&*pod, "NodeNotReady", "Node is not ready");
        Change::patch_status(&*pod, patch).reporting(report)
    });
    plan.batch(marks.collect());
}

/// The pods that are bound to a node, by namespace and name.
pub(super) fn pods_on(node: &str, world: &World) -> Vec<Arc<Pod>> {
    let by_node = |pod: &Pod| pods::node_name(pod).map(str::to_owned).into_iter().collect();
    world.cache::<Pod>().index("node", by_node).get(node)
}

fn mirror_labels(node: &Node) -> Option<Change> {
    let labels = node.metadata.labels.as_ref()?;
    let due = MIRRORED_LABELS.iter().filter_map(|(follower, leader)| {
        let value = labels.get(*leader)?;
        (labels.get(*follower) != Some(value)).then(|| ((*follower).to_owned(), json!(value)))
    });
    let due: serde_json::Map<_, _> = due.collect();
    (!due.is_empty()).then(|| Change::patch(node, json!({"metadata": {"labels": due}})))
}
