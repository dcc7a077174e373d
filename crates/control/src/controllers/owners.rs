//! Owner references: who claims, adopts and releases what.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use crate::controller::Kind;
use crate::plan::{Change, Plan, Query};
use crate::resource::Target;
use crate::selector::Matcher;
use crate::world::{World, controller_of};

/// The reference by which `owner` controls its children.
pub(crate) fn controller_reference<K: Kind>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The children of `owner` that `selector` matches; adoptions and releases that are due go into `plan`.
///
/// Before the first adoption the owner is read live: a cached one might have been deleted and replaced.
pub(crate) fn claim<P: Kind, C: Kind>(
    owner: &P,
    selector: &Matcher,
    world: &World,
    plan: &mut Plan,
    adoptable: impl Fn(&C) -> bool,
) -> Vec<Arc<C>> {
    let uid = owner.meta().uid.as_deref().unwrap_or_default();
    let namespace = owner.meta().namespace.as_deref().unwrap_or_default();
    let matches = |child: &Arc<C>| selector.matches(child.meta().labels.as_ref());
    let (children, strangers): (Vec<_>, Vec<_>) = world.controlled::<C>(uid).into_iter().partition(matches);
    if owner.meta().deletion_timestamp.is_some() {
        return children;
    }
    plan.batch(strangers.iter().map(|child| release(&**child, uid)).collect());
    let orphans = world.orphans::<C>(namespace).into_iter().filter(matches);
    let orphans: Vec<_> =
        orphans.filter(|orphan| orphan.meta().deletion_timestamp.is_none() && adoptable(orphan)).collect();
    if !orphans.is_empty() {
        adopt(owner, &orphans, world, plan);
    }
    children
}

fn adopt<P: Kind, C: Kind>(owner: &P, orphans: &[Arc<C>], world: &World, plan: &mut Plan) {
    let target = Target::of(owner);
    let Some(live) = world.live(&target) else {
        plan.queries.insert(Query::Get(target));
        return;
    };
    let uid = owner.meta().uid.as_deref();
    let same = |live: &&serde_json::Value| {
        live["metadata"]["uid"].as_str() == uid && live["metadata"]["deletionTimestamp"].is_null()
    };
    if live.as_ref().filter(|live| same(live)).is_some() {
        plan.batch(
            orphans.iter().map(|orphan| with_owners(&**orphan, Some(controller_reference(owner)), None)).collect(),
        );
    }
}

fn release<C: Kind>(child: &C, owner_uid: &str) -> Change {
    with_owners(child, None, Some(owner_uid))
}

/// A patch of the owner references that fails if the child changed meanwhile.
fn with_owners<C: Kind>(child: &C, add: Option<OwnerReference>, remove: Option<&str>) -> Change {
    let mut owners = child.meta().owner_references.clone().unwrap_or_default();
    owners.retain(|owner| Some(owner.uid.as_str()) != remove);
    owners.extend(add);
    let version = &child.meta().resource_version;
    Change::patch(child, json!({"metadata": {"ownerReferences": owners, "resourceVersion": version}}))
}

/// The key of the controller of `object` if that is of `kind`.
pub(crate) fn controller_key<K: Kind>(object: &K, kind: &str) -> Option<informer::Key> {
    let owner = controller_of(object).filter(|owner| owner.kind == kind)?;
    Some(informer::Key::new(object.meta().namespace.as_deref(), &owner.name))
}

/// The value of an annotation as a number.
pub(crate) fn annotation_number<K: Kind>(object: &K, name: &str) -> Option<i64> {
    annotations(object).get(name)?.parse().ok()
}

pub(crate) fn annotations<K: Kind>(object: &K) -> BTreeMap<String, String> {
    object.meta().annotations.clone().unwrap_or_default()
}
