//! The recreating update: all old pods end before the first new one starts.

use k8s_openapi::api::core::v1::Pod;

use super::view::{View, size};
use super::{history, scale, status};
use crate::plan::Plan;
use crate::pods;

/// One round: the first thing that is due, then the status.
pub(super) fn roll(view: &View<'_>, plan: &mut Plan) {
    if history::sync_revision(view, plan) {
        return;
    }
    let mut scaled = false;
    for old in view.old.iter().filter(|set| size(set) > 0) {
        scaled |= scale::resize(view, old, 0, plan);
    }
    if scaled || old_pods_run(view) {
        return status::sync(view, plan);
    }
    if history::create_new(view, plan) {
        return;
    }
    let Some(new) = &view.new else { return };
    let scaled = size(new) != view.wanted() && scale::resize(view, new, view.wanted(), plan);
    if !scaled && status::is_complete(view) {
        history::clean_up(view, plan);
    }
    status::sync(view, plan);
}

fn old_pods_run(view: &View<'_>) -> bool {
    let uids = view.old.iter().filter_map(|set| set.metadata.uid.as_deref());
    uids.flat_map(|uid| view.world.controlled::<Pod>(uid)).any(|pod| !pods::is_finished(&pod))
}
