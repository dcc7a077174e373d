//! Sizes of replica sets: one set, and the proportional scaling of a deployment that is resized in the middle of a roll.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::view::{View, age, available, is_recreate, size, total};
use crate::controllers::owners::{annotation_number, annotations};
use crate::plan::{Change, Plan, Report};

const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";

/// The annotations by which a later step recognises that the deployment was resized.
pub(super) fn size_annotations(view: &View<'_>) -> [(String, String); 2] {
    let maximum = view.wanted() + view.max_surge();
    [(DESIRED.to_owned(), view.wanted().to_string()), (MAXIMUM.to_owned(), maximum.to_string())]
}

/// Whether some active set was sized for another number of replicas.
pub(super) fn is_scaling(view: &View<'_>) -> bool {
    let wanted = i64::from(view.wanted());
    let active = view.all().filter(|set| size(set) > 0);
    active.filter_map(|set| annotation_number(&**set, DESIRED)).any(|desired| desired != wanted)
}

/// Resizes `set` to `to`. Returns whether there was anything to do.
pub(super) fn resize(view: &View<'_>, set: &ReplicaSet, to: i32, plan: &mut Plan) -> bool {
    let from = size(set);
    let mut changed = set.clone();
    let mut all = annotations(set);
    all.extend(size_annotations(view));
    if from == to && set.metadata.annotations.as_ref() == Some(&all) {
        return false;
    }
    changed.metadata.annotations = Some(all);
    changed.spec.get_or_insert_default().replicas = Some(to);
    let change = Change::update(&changed);
    plan.change(if from == to { change } else { change.reporting(report(view, set, from, to)) });
    true
}

/// The event that tells of a resize.
pub(super) fn report(view: &View<'_>, set: &ReplicaSet, from: i32, to: i32) -> Report {
    let direction = if to > from { "up" } else { "down" };
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
    Report::normal(view.deployment, "ScalingReplicaSet", message)
}

/// Brings the sizes in line with a changed number of replicas, without going on with the roll.
pub(super) fn follow_size(view: &View<'_>, plan: &mut Plan) {
    if let Some(only) = active_or_latest(view) {
        if size(only) != view.wanted() {
            resize(view, only, view.wanted(), plan);
        }
        return;
    }
    if view.new.as_ref().is_some_and(|new| is_saturated(view, new)) {
        for old in view.old.iter().filter(|set| size(set) > 0) {
            resize(view, old, 0, plan);
        }
        return;
    }
    if !is_recreate(view.deployment) {
        proportionally(view, plan);
    }
}

/// The only active set, or with none active the newest; `None` when several are active.
fn active_or_latest<'a>(view: &'a View<'_>) -> Option<&'a Arc<ReplicaSet>> {
    let mut active = view.all().filter(|set| size(set) > 0);
    match (active.next(), active.next()) {
        (None, _) => view.new.as_ref().or_else(|| view.old.last()),
        (only, None) => only,
        _ => None,
    }
}

fn is_saturated(view: &View<'_>, set: &ReplicaSet) -> bool {
    let wanted = view.wanted();
    size(set) == wanted && available(set) == wanted && annotation_number(set, DESIRED) == Some(i64::from(wanted))
}

/// Spreads the change over the active sets by their share; what rounding leaves goes to the largest.
fn proportionally(view: &View<'_>, plan: &mut Plan) {
    let mut active: Vec<&Arc<ReplicaSet>> = view.all().filter(|set| size(set) > 0).collect();
    let allowed = if view.wanted() > 0 { view.wanted() + view.max_surge() } else { 0 };
    let to_add = allowed - total(active.iter().copied(), size);
    if to_add > 0 {
        active.sort_by_key(|set| (Reverse(size(set)), Reverse(age(set))));
    } else {
        active.sort_by_key(|set| (Reverse(size(set)), age(set)));
    }
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(active.len());
    for set in &active {
        let share = proportion(view, set, to_add, added);
        added += share;
        sizes.push(size(set) + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    for (set, size) in active.iter().zip(sizes) {
        resize(view, set, size, plan);
    }
}

/// The share of one set in `to_add`, of which `added` is given away already.
fn proportion(view: &View<'_>, set: &ReplicaSet, to_add: i32, added: i32) -> i32 {
    if to_add == added {
        return 0;
    }
    let (fraction, left) = (fraction(view, set), to_add - added);
    if to_add > 0 { fraction.min(left) } else { fraction.max(left) }
}

fn fraction(view: &View<'_>, set: &ReplicaSet) -> i32 {
    if view.wanted() == 0 {
        return -size(set);
    }
    let observed = view.deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
    let before = annotation_number(set, MAXIMUM).filter(|before| *before > 0).unwrap_or_else(|| i64::from(observed));
    if before <= 0 {
        return 0;
    }
    let scaled = i64::from(size(set)) * i64::from(view.wanted() + view.max_surge());
    let rounded = (2 * scaled + before).div_euclid(2 * before);
    i32::try_from(rounded).unwrap_or(i32::MAX).saturating_sub(size(set))
}
