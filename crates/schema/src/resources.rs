//! The built-in resource types: one row each, in a file for each group.

mod admissionregistration;
mod apps;
mod auth;
mod autoscaling;
mod batch;
mod builder;
mod certificates;
mod coordination;
mod core;
mod events;
mod extension;
mod flowcontrol;
mod internal;
mod lifecycle;
mod networking;
mod node;
mod policy;
mod rbac;
mod resource;
mod scheduling;
mod storage;

use std::sync::Arc;

use builder::Row;

use crate::{facts::Facts, resource::Resource};

/// All built-in rows.
///
/// # Panics
/// When a row names a type that the facts lack: a test builds them all.
pub(crate) fn all(facts: &Arc<Facts>) -> Vec<Resource> {
    let groups: [fn() -> Vec<Row>; 19] = [
        core::rows,
        admissionregistration::rows,
        apps::rows,
        auth::rows,
        autoscaling::rows,
        batch::rows,
        certificates::rows,
        coordination::rows,
        events::rows,
        extension::rows,
        flowcontrol::rows,
        internal::rows,
        networking::rows,
        node::rows,
        policy::rows,
        rbac::rows,
        resource::rows,
        scheduling::rows,
        storage::rows,
    ];
    groups.into_iter().flat_map(|rows| rows()).map(|row| row.build(facts)).collect()
}

/// Where a group stands in discovery: upstream lists groups by priority, unknown ones last.
pub(crate) fn group_rank(group: &str) -> usize {
    const ORDER: &[&str] = &[
        "",
        "apiregistration.k8s.io",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "node.k8s.io",
        "discovery.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "resource.k8s.io",
        "internal.apiserver.k8s.io",
        "storagemigration.k8s.io",
    ];
    ORDER.iter().position(|g| *g == group).unwrap_or(ORDER.len())
}
