//! What controllers ask of pods: are they alive, ready, available, and which of them to delete first.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};

pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// `Succeeded` or `Failed`: the pod will never run again.
#[must_use]
pub fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

#[must_use]
pub fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Neither finished nor being deleted.
#[must_use]
pub fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && !is_leaving(pod)
}

/// Being deleted but not finished: it still holds its resources.
#[must_use]
pub fn is_terminating(pod: &Pod) -> bool {
    !is_finished(pod) && is_leaving(pod)
}

#[must_use]
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

#[must_use]
pub fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

#[must_use]
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// How long a ready pod must stay so until it counts as available; zero when it does. `None` when it is not ready.
#[must_use]
pub fn until_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds <= 0 {
        return Some(Duration::ZERO);
    }
    let available = ready_since(pod)? + SignedDuration::from_secs(i64::from(min_ready_seconds));
    Some(Duration::try_from(available.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Sorts pods so that those whose loss hurts least come first: upstream's order.
///
/// `related` counts the active pods on each node that do the same work: of crowded pods the most crowded goes first.
pub fn sort_for_deletion<P: AsRef<Pod>>(pods: &mut [P], related: &BTreeMap<String, usize>, now: Timestamp) {
    pods.sort_by(|a, b| compare(a.as_ref(), b.as_ref(), related, now));
}

fn compare(a: &Pod, b: &Pod, related: &BTreeMap<String, usize>, now: Timestamp) -> Ordering {
    let crowd = |pod: &Pod| node_name(pod).and_then(|node| related.get(node)).copied().unwrap_or(0);
    node_name(a)
        .is_some()
        .cmp(&node_name(b).is_some())
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
        .then_with(|| crowd(b).cmp(&crowd(a)))
        .then_with(|| younger_first(ready_since(a), ready_since(b), now))
        .then_with(|| Reverse(restarts(a)).cmp(&Reverse(restarts(b))))
        .then_with(|| younger_first(created(a), created(b), now))
        .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
        .then_with(|| a.metadata.name.cmp(&b.metadata.name))
}

fn phase_rank(pod: &Pod) -> u8 {
    match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DELETION_COST)?.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).max().unwrap_or(0)
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Ages are compared by powers of two, so that pods of about the same age are told apart by uid and not by seconds.
fn younger_first(a: Option<Timestamp>, b: Option<Timestamp>, now: Timestamp) -> Ordering {
    let rank = |time: Option<Timestamp>| {
        let age = time.map(|time| now.duration_since(time).as_nanos());
        age.map(|nanos| u128::try_from(nanos).ok().and_then(u128::checked_ilog2).map_or(-1, i64::from))
    };
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}
