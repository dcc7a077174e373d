//! Tables of dynamic resource allocation.

use serde_json::Value;

use super::{Column, read};

pub(super) static DEVICE_CLASSES: &[Column] = &[Column::name(), Column::age()];

pub(super) static RESOURCE_CLAIMS: &[Column] =
    &[Column::name(), Column::text("State", |o, _| claim_state(o).into()), Column::age()];

pub(super) static RESOURCE_SLICES: &[Column] = &[
    Column::name(),
    Column::text("Node", |o, _| match read::text(o, "spec.nodeName") {
        "" if read::boolean(o, "spec.allNodes") => "<all>".into(),
        "" if read::at(o, "spec.nodeSelector").is_some_and(Value::is_object) => "<selector>".into(),
        "" => "<unset>".into(),
        node => node.into(),
    }),
    Column::path("Driver", "spec.driver"),
    Column::path("Pool", "spec.pool.name"),
    Column::age(),
];

fn claim_state(claim: &Value) -> String {
    let mut states = Vec::new();
    if !read::text(claim, "metadata.deletionTimestamp").is_empty() {
        states.push("deleted");
    }
    if read::at(claim, "status.allocation").is_some_and(Value::is_object) {
        states.push("allocated");
        if read::length(claim, "status.reservedFor") > 0 {
            states.push("reserved");
        }
    } else {
        states.push("pending");
    }
    states.join(",")
}
