//! The rolling update: new pods up as far as the surge allows, old ones down as far as availability allows.

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::view::{View, available, size, total};
use super::{history, scale, status};
use crate::plan::Plan;

/// One round: the first thing that is due, then the status.
pub(super) fn roll(view: &View<'_>, plan: &mut Plan) {
    if history::sync_revision(view, plan) || history::create_new(view, plan) {
        return;
    }
    let Some(new) = &view.new else { return };
    let scaled = scale_new(view, new, plan) || scale_old(view, new, plan);
    if !scaled && status::is_complete(view) {
        history::clean_up(view, plan);
    }
    status::sync(view, plan);
}

/// The size the new set should have now, given `current` as its size.
pub(super) fn new_size(view: &View<'_>, current: i32) -> i32 {
    let others = total(&view.old, size);
    let limit = view.wanted() + view.max_surge();
    let room = limit - others - current;
    if room <= 0 { current } else { current + room.min(view.wanted() - current) }
}

fn scale_new(view: &View<'_>, new: &ReplicaSet, plan: &mut Plan) -> bool {
    let to = if size(new) > view.wanted() { view.wanted() } else { new_size(view, size(new)) };
    to != size(new) && scale::resize(view, new, to, plan)
}

/// Old pods go: first those that do not serve anyway, then as many as availability allows.
fn scale_old(view: &View<'_>, new: &ReplicaSet, plan: &mut Plan) -> bool {
    if total(&view.old, size) == 0 {
        return false;
    }
    let least = view.wanted() - view.max_unavailable();
    let new_unavailable = size(new) - available(new);
    let mut removable = total(view.all(), size) - least - new_unavailable;
    if removable <= 0 {
        return false;
    }
    let mut sizes: Vec<i32> = view.old.iter().map(|set| size(set)).collect();
    for (set, target) in view.old.iter().zip(&mut sizes) {
        let unhealthy = (*target - available(set)).clamp(0, removable);
        *target -= unhealthy;
        removable -= unhealthy;
    }
    let mut spare = total(view.all(), available) - least;
    for target in &mut sizes {
        let down = (*target).clamp(0, spare.max(0));
        *target -= down;
        spare -= down;
    }
    let mut scaled = false;
    for (set, target) in view.old.iter().zip(sizes) {
        scaled |= target != size(set) && scale::resize(view, set, target, plan);
    }
    scaled
}
