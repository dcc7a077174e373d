//! Revisions: making the set of a new template, numbering sets, and forgetting old ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::view::{HASH_LABEL, View, is_recreate, size};
use super::{rolling, scale, status};
use crate::controllers::owners::{annotation_number, annotations, controller_reference};
use crate::names;
use crate::plan::{Change, Plan};

const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotations of a deployment that its sets do not inherit.
const NOT_INHERITED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];
/// A limit this large means none.
const NO_LIMIT: i32 = i32::MAX;

/// Makes the newest set carry the highest revision, and the deployment the same. Returns whether anything was planned.
pub(super) fn sync_revision(view: &View<'_>, plan: &mut Plan) -> bool {
    let Some(new) = &view.new else { return false };
    let wanted = inherited(view, annotations(&**new), next_revision(view));
    let min_ready = view.spec.min_ready_seconds;
    let set_min_ready = new.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
    if annotations(&**new) != wanted || set_min_ready.unwrap_or(0) != min_ready.unwrap_or(0) {
        let mut changed = (**new).clone();
        changed.metadata.annotations = Some(wanted);
        changed.spec.get_or_insert_default().min_ready_seconds = min_ready;
        plan.change(Change::update(&changed));
        return true;
    }
    let revision = annotations(&**new).get(REVISION).cloned();
    if annotations(view.deployment).get(REVISION) != revision.as_ref() {
        plan.change(Change::patch(view.deployment, json!({"metadata": {"annotations": {REVISION: revision}}})));
        return true;
    }
    status::found_new(view, new, plan)
}

fn revision(set: &ReplicaSet) -> i64 {
    annotation_number(set, REVISION).unwrap_or(0)
}

fn next_revision(view: &View<'_>) -> i64 {
    view.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1
}

/// A set's annotations with the deployment's and, if it is higher than the set's own, `number` as revision.
fn inherited(view: &View<'_>, mut all: BTreeMap<String, String>, number: i64) -> BTreeMap<String, String> {
    let own = annotations(view.deployment);
    all.extend(own.into_iter().filter(|(key, _)| !NOT_INHERITED.contains(&key.as_str())));
    let before = all.get(REVISION).cloned();
    let known: i64 = before.as_deref().and_then(|before| before.parse().ok()).unwrap_or(0);
    if known < number {
        all.insert(REVISION.to_owned(), number.to_string());
        if let Some(before) = before.filter(|before| !before.is_empty()) {
            let history = all.remove(REVISION_HISTORY).filter(|history| !history.is_empty());
            let history = history.map_or_else(|| before.clone(), |history| format!("{history},{before}"));
            all.insert(REVISION_HISTORY.to_owned(), history);
        }
    }
    all
}

/// Creates the set of the current template if it is missing. Returns whether anything was planned.
pub(super) fn create_new(view: &View<'_>, plan: &mut Plan) -> bool {
    if view.new.is_some() {
        return false;
    }
    let set = new_set(view);
    let (namespace, name) = (set.metadata.namespace.as_deref(), set.metadata.name.as_deref().unwrap_or_default());
    if view.world.get::<ReplicaSet>(namespace, name).is_some() {
        count_collision(view, plan);
        return true;
    }
    let created = Change::create(&set);
    let to = size(&set);
    plan.change(if to > 0 { created.reporting(scale::report(view, &set, 0, to)) } else { created });
    status::created_new(view, name, plan);
    true
}

fn new_set(view: &View<'_>) -> ReplicaSet {
    let collisions = view.deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = names::hash_label(&view.spec.template, collisions);
    let mut template = view.spec.template.clone();
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = view.spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
    let mut annotations = inherited(view, BTreeMap::new(), next_revision(view));
    annotations.extend(scale::size_annotations(view));
    let replicas = if is_recreate(view.deployment) { view.wanted() } else { rolling::new_size(view, 0) };
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", view.deployment.metadata.name.as_deref().unwrap_or_default())),
            namespace: view.deployment.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(view.deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            min_ready_seconds: view.spec.min_ready_seconds,
            selector,
            template: Some(template),
        }),
        status: None,
    }
}

/// Another template has the same hash: the next one is computed with a different count.
fn count_collision(view: &View<'_>, plan: &mut Plan) {
    let mut status = view.deployment.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
    plan.change(Change::status(&Deployment { status: Some(status), ..view.deployment.clone() }));
}

/// Deletes the oldest empty sets beyond the history limit.
pub(super) fn clean_up(view: &View<'_>, plan: &mut Plan) {
    let Some(limit) = view.spec.revision_history_limit.filter(|limit| *limit != NO_LIMIT) else { return };
    let mut alive: Vec<&Arc<ReplicaSet>> =
        view.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
    let excess = alive.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    alive.sort_by_key(|set| (revision(set), set.metadata.creation_timestamp.clone()));
    let forgotten = alive.into_iter().take(excess).filter(|set| is_settled_empty(set));
    plan.batch(forgotten.map(|set| Change::delete(&**set)).collect());
}

fn is_settled_empty(set: &ReplicaSet) -> bool {
    let status = set.status.clone().unwrap_or_default();
    size(set) == 0 && status.replicas == 0 && set.metadata.generation <= status.observed_generation
}
