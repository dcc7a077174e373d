//! The taints that follow from a node's conditions.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::condition;
use crate::plan::Change;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";

/// Condition, status, and the taint that keeps pods away while it holds.
const CONDITION_TAINTS: &[(&str, &str, &str)] = &[
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// The update that brings the node's taints in line with its conditions, if one is due.
pub(super) fn sync(node: &Node, now: Timestamp) -> Option<Change> {
    let old = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let mut taints = old.clone();
    for (kind, status, key) in CONDITION_TAINTS {
        let known = condition(node, kind);
        // A node that has not reported yet keeps the taint that it was admitted with.
        if known.is_none() && *kind == "Ready" {
            continue;
        }
        let holds = known.is_some_and(|condition| condition.status == *status);
        set(&mut taints, key, NO_SCHEDULE, holds, None);
        if *kind == "Ready" {
            set(&mut taints, key, NO_EXECUTE, holds, Some(now));
        }
    }
    let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    set(&mut taints, UNSCHEDULABLE, NO_SCHEDULE, unschedulable, None);
    // Evictions after a toleration's seconds are counted from here, also for taints that others put on.
    for taint in taints.iter_mut().filter(|taint| taint.effect == NO_EXECUTE && taint.time_added.is_none()) {
        taint.time_added = Some(Time(now));
    }
    if taints == old {
        return None;
    }
    let mut changed = node.clone();
    changed.spec.get_or_insert_default().taints = Some(taints);
    Some(Change::update(&changed))
}

fn set(taints: &mut Vec<Taint>, key: &str, effect: &str, wanted: bool, since: Option<Timestamp>) {
    let is_it = |taint: &Taint| taint.key == key && taint.effect == effect;
    if !wanted {
        taints.retain(|taint| !is_it(taint));
    } else if !taints.iter().any(is_it) {
        taints.push(Taint { key: key.to_owned(), effect: effect.to_owned(), value: None, time_added: since.map(Time) });
    }
}
