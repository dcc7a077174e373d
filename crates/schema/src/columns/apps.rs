//! Tables of workloads.

use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static CONTROLLER_REVISIONS: &[Column] = &[
    Column::name(),
    Column::text("Controller", |o, _| controller(o).into()),
    Column::text("Revision", |o, _| read::integer(o, "revision").into()),
    Column::age(),
];

pub(super) static DAEMON_SETS: &[Column] = &[
    Column::name(),
    Column::integer("Desired", "status.desiredNumberScheduled"),
    Column::integer("Current", "status.currentNumberScheduled"),
    Column::integer("Ready", "status.numberReady"),
    Column::integer("Up-to-date", "status.updatedNumberScheduled"),
    Column::integer("Available", "status.numberAvailable"),
    Column::text("Node Selector", |o, _| read::labels(o, "spec.template.spec.nodeSelector").into()),
    Column::age(),
    Column::text("Containers", |o, _| read::members(o, "spec.template.spec.containers", "name").into()).wide(),
    Column::text("Images", |o, _| read::members(o, "spec.template.spec.containers", "image").into()).wide(),
    Column::text("Selector", |o, _| read::selector(o, "spec.selector").into()).wide(),
];

pub(super) static DEPLOYMENTS: &[Column] = &[
    Column::name(),
    Column::text("Ready", |o, _| ready(o).into()),
    Column::text("Up-to-date", |o, _| read::integer(o, "status.updatedReplicas").into()),
    Column::text("Available", |o, _| read::integer(o, "status.availableReplicas").into()),
    Column::age(),
    Column::text("Containers", |o, _| read::members(o, "spec.template.spec.containers", "name").into()).wide(),
    Column::text("Images", |o, _| read::members(o, "spec.template.spec.containers", "image").into()).wide(),
    Column::text("Selector", |o, _| read::selector(o, "spec.selector").into()).wide(),
];

pub(super) static REPLICA_SETS: &[Column] = &[
    Column::name(),
    Column::integer("Desired", "spec.replicas"),
    Column::integer("Current", "status.replicas"),
    Column::integer("Ready", "status.readyReplicas"),
    Column::age(),
    Column::text("Containers", |o, _| read::members(o, "spec.template.spec.containers", "name").into()).wide(),
    Column::text("Images", |o, _| read::members(o, "spec.template.spec.containers", "image").into()).wide(),
    Column::text("Selector", |o, _| read::selector(o, "spec.selector").into()).wide(),
];

pub(super) static STATEFUL_SETS: &[Column] = &[
    Column::name(),
    Column::text("Ready", |o, _| ready(o).into()),
    Column::age(),
    Column::text("Containers", |o, _| read::members(o, "spec.template.spec.containers", "name").into()).wide(),
    Column::text("Images", |o, _| read::members(o, "spec.template.spec.containers", "image").into()).wide(),
];

/// `ready/desired`
fn ready(object: &Value) -> String {
    format!("{}/{}", read::integer(object, "status.readyReplicas"), read::integer(object, "spec.replicas"))
}

/// `statefulset.apps/web`
fn controller(object: &Value) -> String {
    let owners = read::list(object, "metadata.ownerReferences");
    let Some(owner) = owners.iter().find(|o| read::boolean(o, "controller")) else { return NONE.to_owned() };
    let (kind, name) = (read::text(owner, "kind").to_lowercase(), read::text(owner, "name"));
    match object::split_api_version(read::text(owner, "apiVersion")) {
        Ok((group, _)) if !group.is_empty() => format!("{kind}.{group}/{name}"),
        _ => format!("{kind}/{name}"),
    }
}
