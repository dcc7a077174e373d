//! Empties namespaces that are being deleted, and then lets them go.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use informer::{Key, Metadata};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::controller::{Controller, On, itself};
use crate::discovery::Discovered;
use crate::plan::{Action, Answer, Change, Plan, Query};
use crate::resource::{Resource, Target};
use crate::world::World;

const FINALIZER: &str = "kubernetes";
/// How soon a namespace whose content takes its time is looked at again.
const RETRY: Duration = Duration::from_secs(2);

pub const CONTROLLER: Controller =
    Controller { name: "namespace-controller", watches: &[&On::<Namespace>(itself)], step, concurrency: 10 };

/// What a namespace still holds of one type.
struct Remaining<'a> {
    resource: &'a Resource,
    first: &'a [Metadata],
    count: u64,
    deletes_all: bool,
}

fn step(key: &Key, world: &World, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(namespace) = world.get::<Namespace>(None, key.name()) else { return plan };
    let finalizers = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
    if namespace.metadata.deletion_timestamp.is_none() || !finalizers.into_iter().any(|name| name == FINALIZER) {
        return plan;
    }
    let Some(types) = world.discovered() else {
        plan.queries.insert(Query::Discover);
        return plan;
    };
    let types: Vec<&Discovered> =
        types.iter().filter(|of| of.namespaced && of.can("delete") && of.can("list")).collect();
    let Some(remaining) = remaining(&types, key.name(), world) else {
        plan.queries.insert(Query::Discover);
        plan.queries.extend(types.iter().map(|of| list(&of.resource, key.name())));
        return plan;
    };
    if remaining.is_empty() {
        plan.change(finalize(&namespace));
        return plan;
    }
    empty(&remaining, key.name(), &mut plan);
    report(&namespace, &remaining, now, &mut plan);
    plan.look_again(RETRY);
    plan
}

fn list(resource: &Resource, namespace: &str) -> Query {
    Query::List { resource: resource.clone(), namespace: Some(namespace.to_owned()) }
}

/// What is left, by type; `None` when it has not been asked.
fn remaining<'a>(types: &[&'a Discovered], namespace: &str, world: &'a World) -> Option<Vec<Remaining<'a>>> {
    let mut remaining = Vec::new();
    for of in types {
        let Answer::List { first, more } = world.answer(&list(&of.resource, namespace))? else { return None };
        if !first.is_empty() {
            let count = first.len() as u64 + more;
            remaining.push(Remaining { resource: &of.resource, first, count, deletes_all: of.can("deletecollection") });
        }
    }
    Some(remaining)
}

/// Deletes what is left: pods first, and all else once no pod is left that might still use it.
fn empty(remaining: &[Remaining<'_>], namespace: &str, plan: &mut Plan) {
    let is_pods = |left: &&Remaining<'_>| left.resource.group.is_empty() && left.resource.plural == "pods";
    let pods: Vec<_> = remaining.iter().filter(is_pods).collect();
    let due = if pods.is_empty() { remaining.iter().collect() } else { pods };
    let mut changes = Vec::new();
    for left in due {
        if left.first.iter().all(|object| object.metadata.deletion_timestamp.is_some())
            && left.first.len() as u64 == left.count
        {
            continue;
        }
        if left.deletes_all {
            let target =
                Target { resource: left.resource.clone(), namespace: Some(namespace.to_owned()), name: String::new() };
            changes.push(Change::new(target, Action::DeleteCollection));
        } else {
            let fresh = left.first.iter().filter(|object| object.metadata.deletion_timestamp.is_none());
            changes.extend(fresh.map(|object| delete(left.resource, namespace, object)));
        }
    }
    plan.batch(changes);
}

fn delete(resource: &Resource, namespace: &str, object: &Metadata) -> Change {
    let target = Target {
        resource: resource.clone(),
        namespace: Some(namespace.to_owned()),
        name: object.metadata.name.to_string(),
    };
    let preconditions = crate::plan::Preconditions {
        uid: Some(object.metadata.uid.to_string()),
        propagation: Some("Background"),
        ..Default::default()
    };
    Change::new(target, Action::Delete(preconditions))
}

/// Takes our finalizer off, which deletes the namespace unless others hold it.
fn finalize(namespace: &Namespace) -> Change {
    let mut emptied = namespace.clone();
    let finalizers = emptied.spec.get_or_insert_default().finalizers.get_or_insert_default();
    finalizers.retain(|name| name != FINALIZER);
    let mut change = Change::update(&emptied);
    if let Action::Update { subresource, .. } = &mut change.action {
        *subresource = Some("finalize");
    }
    change
}

/// Says in the namespace's conditions what is left and what holds it.
fn report(namespace: &Namespace, remaining: &[Remaining<'_>], now: Timestamp, plan: &mut Plan) {
    let mut counts: Vec<String> = remaining
        .iter()
        .map(|left| format!("{} has {} resource instances", left.resource.qualified(), left.count))
        .collect();
    counts.sort_unstable();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for name in remaining.iter().flat_map(|left| left.first).flat_map(|object| &object.metadata.finalizers) {
        *finalizers.entry(name).or_default() += 1;
    }
    let held: Vec<String> =
        finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    let content = format!("Some resources are remaining: {}", counts.join(", "));
    let holding = format!("Some content in the namespace has finalizers remaining: {}", held.join(", "));
    let conditions = [
        ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", Err("All resources successfully discovered")),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            Err("All legacy kube types successfully parsed"),
        ),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            Err("All content successfully deleted, may be waiting on finalization"),
        ),
        ("NamespaceContentRemaining", "SomeResourcesRemain", Ok(content.as_str())),
        if held.is_empty() {
            (
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                Err("All content-preserving finalizers finished"),
            )
        } else {
            ("NamespaceFinalizersRemaining", "SomeFinalizersRemain", Ok(holding.as_str()))
        },
    ];
    let mut status = namespace.status.clone().unwrap_or_default();
    for (kind, reason, message) in conditions {
        set(status.conditions.get_or_insert_default(), kind, reason, message, now);
    }
    if namespace.status.as_ref() != Some(&status) {
        // Before anything is deleted: what follows may take long.
        let changed = Namespace { status: Some(status), ..namespace.clone() };
        plan.batches.insert(0, vec![Change::status(&changed)]);
    }
}

/// Sets a condition to True with an `Ok` message, to False with an `Err` one.
fn set(
    conditions: &mut Vec<NamespaceCondition>,
    kind: &str,
    reason: &str,
    message: Result<&str, &str>,
    now: Timestamp,
) {
    let (status, message) = match message {
        Ok(message) => ("True", message),
        Err(message) => ("False", message),
    };
    let known = conditions.iter_mut().find(|condition| condition.type_ == kind);
    if let Some(known) = known {
        if known.status != status {
            known.last_transition_time = Some(Time(now));
        }
        (known.status, known.reason, known.message) = (status.into(), Some(reason.into()), Some(message.into()));
        return;
    }
    conditions.push(NamespaceCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
    });
}
