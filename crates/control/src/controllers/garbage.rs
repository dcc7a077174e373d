//! Deletes objects whose owners are gone, in the way their owners were deleted: background, foreground or orphaning.

#[cfg(test)]
mod tests;

use std::time::Duration;

use informer::{Key, Object};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::controller::Controller;
use crate::graph::{Everything, Graph, Node};
use crate::plan::{Action, Change, Plan, Preconditions, Query};
use crate::resource::Target;
use crate::world::World;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// How soon an owner of a type that is not served is looked for again.
const UNKNOWN_TYPE: Duration = Duration::from_secs(30);

/// Keys are uids.
pub const CONTROLLER: Controller =
    Controller { name: "garbage-collector-controller", watches: &[&Everything], step, concurrency: 20 };

fn step(key: &Key, world: &World, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let graph = world.graph();
    let Some(node) = graph.node(key.name()) else { return plan };
    if node.is_leaving() {
        if node.has_finalizer(ORPHAN) {
            orphan_dependents(&node, graph, &mut plan);
        } else if node.has_finalizer(FOREGROUND) {
            await_dependents(&node, graph, &mut plan);
        }
        return plan;
    }
    if !node.owners().is_empty() {
        collect(&node, world, &mut plan);
    }
    plan
}

/// The owner goes and leaves its dependents: they forget it, then it may go.
fn orphan_dependents(node: &Node, graph: &Graph, plan: &mut Plan) {
    let uid = node.object.uid();
    let dependents = graph.dependents(uid);
    plan.batch(dependents.iter().map(|dependent| without_owners(dependent, |owner| owner.uid == uid)).collect());
    plan.change(without_finalizer(node, ORPHAN));
}

/// The owner goes last: it stays until no dependent is left that blocks it.
fn await_dependents(node: &Node, graph: &Graph, plan: &mut Plan) {
    let uid = node.object.uid();
    let blocks = |dependent: &Node| {
        let mut owners = dependent.owners().iter();
        owners.any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true))
    };
    if !graph.dependents(uid).iter().any(blocks) {
        plan.change(without_finalizer(node, FOREGROUND));
    }
}

/// What is known of an object's owners.
#[derive(Default)]
struct Owners {
    /// There and staying.
    solid: usize,
    /// There, being deleted, and waiting for its dependents.
    waiting: Vec<String>,
    /// Gone.
    absent: Vec<String>,
    /// Of a type that is not served, so that nobody knows.
    unknown: usize,
}

fn collect(node: &Node, world: &World, plan: &mut Plan) {
    let mut owners = Owners::default();
    for owner in node.owners() {
        classify(node, owner, world, &mut owners, plan);
    }
    if !plan.queries.is_empty() {
        return;
    }
    if owners.unknown > 0 {
        plan.look_again(UNKNOWN_TYPE);
    }
    if owners.solid + owners.unknown > 0 {
        let ended: Vec<&String> = owners.absent.iter().chain(&owners.waiting).collect();
        if !ended.is_empty() {
            plan.change(without_owners(node, |owner| ended.contains(&&owner.uid)));
        }
    } else if !owners.waiting.is_empty() && !world.graph().dependents(node.object.uid()).is_empty() {
        unblock_circle(node, world.graph(), plan);
        plan.change(delete(node, "Foreground"));
    } else {
        let policy = if node.has_finalizer(ORPHAN) {
            "Orphan"
        } else if node.has_finalizer(FOREGROUND) {
            "Foreground"
        } else {
            "Background"
        };
        plan.change(delete(node, policy));
    }
}

fn classify(node: &Node, owner: &OwnerReference, world: &World, owners: &mut Owners, plan: &mut Plan) {
    if let Some(found) = world.graph().node(&owner.uid).filter(|found| is_meant(found, owner, node)) {
        if found.is_leaving() && found.has_finalizer(FOREGROUND) {
            owners.waiting.push(owner.uid.clone());
        } else {
            owners.solid += 1;
        }
        return;
    }
    let Some(of) = world.graph().type_of(owner) else {
        owners.unknown += 1;
        return;
    };
    let namespace = node.object.namespace().filter(|_| of.namespaced).map(str::to_owned);
    if of.namespaced && namespace.is_none() {
        // A cluster-scoped object cannot have an owner in a namespace: nobody can say which one is meant.
        owners.unknown += 1;
        return;
    }
    let target = Target { resource: of.resource.clone(), namespace, name: owner.name.clone() };
    match world.live(&target) {
        None => {
            plan.queries.insert(Query::Get(target));
        }
        Some(Some(live)) if live["metadata"]["uid"].as_str() == Some(&owner.uid) => owners.solid += 1,
        Some(_) => owners.absent.push(owner.uid.clone()),
    }
}

/// Whether the object with the owner's uid is the one the reference names.
fn is_meant(found: &Node, owner: &OwnerReference, dependent: &Node) -> bool {
    found.of.resource.kind == owner.kind
        && found.object.name() == owner.name
        && found.object.namespace().is_none_or(|namespace| Some(namespace) == dependent.object.namespace())
}

/// Of objects that own each other in a circle, each would wait for the other: the dependents stop blocking.
fn unblock_circle(node: &Node, graph: &Graph, plan: &mut Plan) {
    let uid = node.object.uid();
    let waits = |dependent: &Node| dependent.is_leaving() && dependent.has_finalizer(FOREGROUND);
    let circular: Vec<Node> = graph.dependents(uid).into_iter().filter(waits).collect();
    plan.batch(circular.iter().map(|dependent| unblocking(dependent, uid)).collect());
}

fn unblocking(node: &Node, owner_uid: &str) -> Change {
    let mut owners = node.owners().to_vec();
    owners.iter_mut().filter(|owner| owner.uid == owner_uid).for_each(|owner| owner.block_owner_deletion = Some(false));
    patch(node, json!({"metadata": {"ownerReferences": owners}}))
}

fn without_owners(node: &Node, is_removed: impl Fn(&OwnerReference) -> bool) -> Change {
    let owners: Vec<_> = node.owners().iter().filter(|owner| !is_removed(owner)).collect();
    patch(node, json!({"metadata": {"ownerReferences": owners}}))
}

fn without_finalizer(node: &Node, name: &str) -> Change {
    let finalizers: Vec<_> = node.object.metadata.finalizers.iter().filter(|known| *known != name).collect();
    patch(node, json!({"metadata": {"finalizers": finalizers}}))
}

/// A patch that fails if the object changed since the graph saw it.
fn patch(node: &Node, mut patch: Value) -> Change {
    patch["metadata"]["uid"] = node.object.uid().into();
    patch["metadata"]["resourceVersion"] = (*node.object.metadata.resource_version).into();
    Change::new(node.target(), Action::Patch { patch, subresource: None })
}

fn delete(node: &Node, propagation: &'static str) -> Change {
    let preconditions = Preconditions {
        uid: Some(node.object.uid().to_owned()),
        resource_version: Some(node.object.metadata.resource_version.to_string()),
        propagation: Some(propagation),
        grace_seconds: None,
    };
    Change::new(node.target(), Action::Delete(preconditions))
}
