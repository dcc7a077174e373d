//! What a replica set's status says of its pods.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::spec;
use crate::plan::{Change, Plan};
use crate::pods;
use crate::world::World;

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Plans the status update that is due, and to look again when a ready pod becomes available.
pub(super) fn sync(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    terminating: usize,
    world: &World,
    now: Timestamp,
    plan: &mut Plan,
) {
    let old = set.status.clone().unwrap_or_default();
    let mut status = counted(set, active, terminating, now);
    status.conditions = conditions(set, &old, active.len(), world, now);
    let waits = active.iter().filter_map(|pod| pods::until_available(pod, min_ready(set), now));
    if let Some(wait) = waits.filter(|wait| !wait.is_zero()).min() {
        // Timestamps have whole seconds: look a moment after.
        plan.look_again(wait + Duration::from_millis(1));
    }
    if status != old {
        plan.change(Change::status(&ReplicaSet { status: Some(status), ..set.clone() }));
    }
}

fn min_ready(set: &ReplicaSet) -> i32 {
    spec(set).min_ready_seconds.unwrap_or(0)
}

fn counted(set: &ReplicaSet, active: &[Arc<Pod>], terminating: usize, now: Timestamp) -> ReplicaSetStatus {
    let template = spec(set).template.unwrap_or_default().metadata.unwrap_or_default().labels.unwrap_or_default();
    let labelled = |pod: &&Arc<Pod>| {
        let labels = pod.metadata.labels.as_ref();
        template.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    };
    let available = |pod: &&Arc<Pod>| pods::until_available(pod, min_ready(set), now) == Some(Duration::ZERO);
    ReplicaSetStatus {
        replicas: number(active.len()),
        fully_labeled_replicas: count(active.iter().filter(labelled)),
        ready_replicas: count(active.iter().filter(|pod| pods::is_ready(pod))),
        available_replicas: count(active.iter().filter(available)),
        terminating_replicas: Some(number(terminating)),
        observed_generation: set.metadata.generation,
        conditions: None,
    }
}

/// `None` for zero, as the API leaves zero counts out.
fn count(matching: impl Iterator) -> Option<i32> {
    Some(number(matching.count())).filter(|count| *count > 0)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The old conditions, with `ReplicaFailure` as long as the last plan failed.
fn conditions(
    set: &ReplicaSet,
    old: &ReplicaSetStatus,
    active: usize,
    world: &World,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = old.conditions.clone().unwrap_or_default();
    let failure = world.failure().filter(|failure| matches!(failure.verb.as_str(), "create" | "delete"));
    match failure {
        None => conditions.retain(|condition| condition.type_ != REPLICA_FAILURE),
        Some(_) if conditions.iter().any(|condition| condition.type_ == REPLICA_FAILURE) => {}
        Some(failure) => {
            let wanted = usize::try_from(spec(set).replicas.unwrap_or(1)).unwrap_or(0);
            let reason = if active < wanted { "FailedCreate" } else { "FailedDelete" };
            conditions.push(ReplicaSetCondition {
                type_: REPLICA_FAILURE.to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(failure.message.clone()),
                last_transition_time: Some(Time(now)),
            });
        }
    }
    Some(conditions).filter(|conditions| !conditions.is_empty())
}
