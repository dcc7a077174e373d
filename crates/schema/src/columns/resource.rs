//! Tables of dynamic resource allocation.

use serde_json::Value;

use super::{Column, read};

pub(super) static DEVICE_CLASSES: &[Column] = &[Column::name(), Column::age()];

pub(super) static RESOURCE_CLAIMS: &[Column] =
    &[Column::name(), Column::text("State", |o, _| claim_state(o).into()), Column::age()];

pub(super) static RESOURCE_SLICES: &[Column] = &[
    Column::name(),
    Column::path("Node", "spec.nodeName"),
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

pub(super) static DEVICE_TAINT_RULES: &[Column] = &[
    Column::name(),
    Column::path("Key", "spec.taint.key"),
    Column::path("Value", "spec.taint.value"),
    Column::path("Effect", "spec.taint.effect"),
    Column::text("TimeAdded", |o, now| match read::text(o, "spec.taint.timeAdded") {
        "" => "".into(),
        time => read::since(time, now).into(),
    }),
    Column::age(),
];

pub(super) static RESOURCE_POOL_STATUS_REQUESTS: &[Column] = &[
    Column::name(),
    Column::path("Driver", "spec.driver"),
    Column::text("Total", |o, _| devices(o, "totalDevices").into()),
    Column::text("Available", |o, _| devices(o, "availableDevices").into()),
    Column::text("Allocated", |o, _| devices(o, "allocatedDevices").into()),
    Column::text("Unavailable", |o, _| devices(o, "unavailableDevices").into()),
    Column::text("Errors", |o, _| match counted(o) {
        None => "-".into(),
        Some(pools) => pools.iter().filter(|p| !p["validationError"].is_null()).count().to_string().into(),
    }),
    Column::integer("Pools", "status.poolCount"),
    Column::text("Status", |o, _| pool_status(o).into()),
    Column::text("Completed", |o, now| match read::condition(o, "Complete").filter(|_| pool_state(o) == "Complete") {
        None => "<none>".into(),
        Some(condition) => read::since(read::text(condition, "lastTransitionTime"), now).into(),
    }),
];

/// The first of the conditions that ends a request.
fn pool_state(request: &Value) -> &str {
    let ends = |c: &&Value| matches!(read::text(c, "type"), "Complete" | "Failed") && read::text(c, "status") == "True";
    read::list(request, "status.conditions").iter().find(ends).map_or("Pending", |c| read::text(c, "type"))
}

fn pool_status(request: &Value) -> String {
    let (state, all) = (pool_state(request), read::integer(request, "status.poolCount"));
    let listed = read::length(request, "status.pools");
    let partial = i64::try_from(listed).is_ok_and(|listed| all > listed);
    if state == "Complete" && partial { format!("{state} ({listed}/{all} pools)") } else { state.to_owned() }
}

/// The pools of a request that has an answer.
fn counted(request: &Value) -> Option<&[Value]> {
    let answered = read::at(request, "status").is_some_and(Value::is_object) && pool_state(request) != "Failed";
    answered.then(|| read::list(request, "status.pools"))
}

fn devices(request: &Value, field: &str) -> String {
    let sum = |pools: &[Value]| pools.iter().map(|pool| read::integer(pool, field)).sum::<i64>();
    counted(request).map_or_else(|| "-".to_owned(), |pools| sum(pools).to_string())
}
