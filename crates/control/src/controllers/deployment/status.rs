//! A deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::view::{View, available, size, total};
use crate::plan::{Change, Plan};

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// Plans the status update that is due, and to look again when the progress deadline passes.
pub(super) fn sync(view: &View<'_>, plan: &mut Plan) {
    let old = view.deployment.status.clone().unwrap_or_default();
    let mut status = counted(view);
    if view.deployment.metadata.deletion_timestamp.is_none() && view.spec.paused != Some(true) {
        judge_progress(view, &old, &mut status);
    }
    update(view, &old, status, plan);
}

/// Whether the rollout, as the present status tells, is done.
pub(super) fn is_complete(view: &View<'_>) -> bool {
    view.deployment.status.as_ref().is_some_and(|status| completes(view, status))
}

/// A set of the current template was there before the deployment knew.
pub(super) fn found_new(view: &View<'_>, new: &ReplicaSet, plan: &mut Plan) -> bool {
    let old = view.deployment.status.clone().unwrap_or_default();
    if !view.has_deadline() || condition(&old, PROGRESSING).is_some() {
        return false;
    }
    let mut status = old.clone();
    let name = new.metadata.name.as_deref().unwrap_or_default();
    set(view, &mut status, PROGRESSING, "True", "FoundNewReplicaSet", format!("Found new replica set \"{name}\""));
    update(view, &old, status, plan);
    true
}

/// The set of the current template has just been made.
pub(super) fn created_new(view: &View<'_>, name: &str, plan: &mut Plan) {
    if !view.has_deadline() {
        return;
    }
    let old = view.deployment.status.clone().unwrap_or_default();
    let mut status = old.clone();
    let message = format!("Created new replica set \"{name}\"");
    set(view, &mut status, PROGRESSING, "True", "NewReplicaSetCreated", message);
    update(view, &old, status, plan);
}

/// Notes in the Progressing condition that the deployment was paused or resumed. Returns whether anything was planned.
pub(super) fn pause(view: &View<'_>, plan: &mut Plan) -> bool {
    if !view.has_deadline() {
        return false;
    }
    let old = view.deployment.status.clone().unwrap_or_default();
    let reason = condition(&old, PROGRESSING).and_then(|condition| condition.reason.as_deref());
    let paused = view.spec.paused == Some(true);
    let mut status = old.clone();
    match reason {
        Some(TIMED_OUT) => return false,
        Some(PAUSED) if !paused => {
            set(view, &mut status, PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed".into());
        }
        reason if paused && reason != Some(PAUSED) => {
            set(view, &mut status, PROGRESSING, "Unknown", PAUSED, "Deployment is paused".into());
        }
        _ => return false,
    }
    update(view, &old, status, plan);
    true
}

fn update(view: &View<'_>, old: &DeploymentStatus, status: DeploymentStatus, plan: &mut Plan) {
    if status != *old {
        plan.change(Change::status(&Deployment { status: Some(status), ..view.deployment.clone() }));
    } else if let Some(wait) = until_deadline(view, old) {
        plan.look_again(wait);
    }
}

fn counted(view: &View<'_>) -> DeploymentStatus {
    let old = view.deployment.status.clone().unwrap_or_default();
    let replicas = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let ready = |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let ending = |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or(0);
    let all_available = total(view.all(), available);
    let positive = |count: i32| Some(count).filter(|count| *count > 0);
    let mut status = DeploymentStatus {
        observed_generation: view.deployment.metadata.generation,
        replicas: positive(total(view.all(), replicas)),
        updated_replicas: positive(total(&view.new, replicas)),
        ready_replicas: positive(total(view.all(), ready)),
        available_replicas: positive(all_available),
        unavailable_replicas: positive(total(view.all(), size) - all_available),
        terminating_replicas: Some(total(view.all(), ending)),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    if all_available >= view.wanted() - view.max_unavailable() {
        let message = "Deployment has minimum availability.".to_owned();
        set(view, &mut status, AVAILABLE, "True", "MinimumReplicasAvailable", message);
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        set(view, &mut status, AVAILABLE, "False", "MinimumReplicasUnavailable", message);
    }
    status
}

fn judge_progress(view: &View<'_>, old: &DeploymentStatus, status: &mut DeploymentStatus) {
    if !view.has_deadline() {
        remove(status, PROGRESSING);
    }
    let current = condition(old, PROGRESSING).cloned();
    let settled = status.replicas == status.updated_replicas
        && current.as_ref().is_some_and(|current| current.reason.as_deref() == Some(NEW_SET_AVAILABLE));
    if view.has_deadline() && !settled {
        let subject = match &view.new {
            Some(new) => format!("ReplicaSet \"{}\"", new.metadata.name.as_deref().unwrap_or_default()),
            None => format!("Deployment \"{}\"", view.deployment.metadata.name.as_deref().unwrap_or_default()),
        };
        if completes(view, status) {
            set(
                view,
                status,
                PROGRESSING,
                "True",
                NEW_SET_AVAILABLE,
                format!("{subject} has successfully progressed."),
            );
        } else if progresses(old, status) {
            progressed(view, status, current.as_ref(), format!("{subject} is progressing."));
        } else if until_deadline(view, status).is_some_and(|wait| wait.is_zero()) {
            set(view, status, PROGRESSING, "False", TIMED_OUT, format!("{subject} has timed out progressing."));
        }
    }
    copy_failures(view, status);
}

/// Progress renews the condition's update time even when nothing else of it changes.
fn progressed(view: &View<'_>, status: &mut DeploymentStatus, current: Option<&DeploymentCondition>, message: String) {
    let since =
        current.filter(|current| current.status == "True").and_then(|current| current.last_transition_time.clone());
    remove(status, PROGRESSING);
    set(view, status, PROGRESSING, "True", "ReplicaSetUpdated", message);
    let last = status.conditions.as_mut().and_then(|conditions| conditions.last_mut());
    if let (Some(condition), Some(since)) = (last, since) {
        condition.last_transition_time = Some(since);
    }
}

fn copy_failures(view: &View<'_>, status: &mut DeploymentStatus) {
    let failure_of = |set: &ReplicaSet| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_ == REPLICA_FAILURE && condition.status == "True").cloned()
    };
    let newest = view.new.as_ref().and_then(|set| failure_of(set));
    match newest.or_else(|| view.old.iter().find_map(|set| failure_of(set))) {
        Some(failure) => {
            let reason = failure.reason.unwrap_or_default();
            set(view, status, REPLICA_FAILURE, "True", &reason, failure.message.unwrap_or_default());
        }
        None => remove(status, REPLICA_FAILURE),
    }
}

fn completes(view: &View<'_>, status: &DeploymentStatus) -> bool {
    let wanted = view.wanted();
    [status.updated_replicas, status.replicas, status.available_replicas]
        .iter()
        .all(|count| count.unwrap_or(0) == wanted)
        && status.observed_generation >= view.deployment.metadata.generation
}

fn progresses(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let count = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(new.updated_replicas) > count(old.updated_replicas)
        || outdated(new) < outdated(old)
        || count(new.ready_replicas) > count(old.ready_replicas)
        || count(new.available_replicas) > count(old.available_replicas)
}

/// How long until progress counts as stuck; `None` when it cannot.
fn until_deadline(view: &View<'_>, status: &DeploymentStatus) -> Option<Duration> {
    let deadline = view.spec.progress_deadline_seconds.filter(|_| view.has_deadline())?;
    let current = condition(status, PROGRESSING)?;
    if let Some(NEW_SET_AVAILABLE | TIMED_OUT | PAUSED) = current.reason.as_deref() {
        return None;
    }
    let end = current.last_update_time.as_ref()?.0 + SignedDuration::from_secs(i64::from(deadline));
    let left = Duration::try_from(end.duration_since(view.now)).unwrap_or(Duration::ZERO);
    Some(left)
}

fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
    }
    status.conditions.take_if(|conditions| conditions.is_empty());
}

/// Sets a condition unless it has this status and reason already; a changed reason alone keeps the transition time.
fn set(view: &View<'_>, status: &mut DeploymentStatus, kind: &str, value: &str, reason: &str, message: String) {
    let current = condition(status, kind).cloned();
    let same = |current: &DeploymentCondition| current.status == value && current.reason.as_deref() == Some(reason);
    if current.as_ref().is_some_and(same) {
        return;
    }
    let since = current.filter(|current| current.status == value).and_then(|current| current.last_transition_time);
    remove(status, kind);
    // The API keeps whole seconds.
    let now = Time(jiff::Timestamp::from_second(view.now.as_second()).unwrap_or(view.now));
    status.conditions.get_or_insert_default().push(DeploymentCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(now.clone()),
        last_transition_time: Some(since.unwrap_or(now)),
    });
}
