//! Tables of priorities and groups of pods.

use serde_json::Value;

use super::{Column, read};

pub(super) static PRIORITY_CLASSES: &[Column] = &[
    Column::name(),
    Column::integer("Value", "value"),
    Column::boolean("Global-Default", "globalDefault"),
    Column::age(),
    Column::path("PreemptionPolicy", "preemptionPolicy"),
];

pub(super) static WORKLOADS: &[Column] = &[Column::name(), Column::age()];

pub(super) static POD_GROUPS: &[Column] = &[
    Column::name(),
    Column::text("Policy", |o, _| {
        let gang = read::at(o, "spec.schedulingPolicy.gang").is_some_and(Value::is_object);
        if gang { "Gang".into() } else { "Basic".into() }
    }),
    Column::text("Workload", |o, _| {
        read::text_or(o, "spec.podGroupTemplateRef.workload.workloadName", read::NONE).into()
    }),
    Column::text("Status", |o, _| match read::condition(o, "DisruptionTarget") {
        Some(condition) => read::text(condition, "reason").into(),
        None if read::is_true(o, "PodGroupScheduled") => "Scheduled".into(),
        None if read::condition(o, "PodGroupScheduled").is_some() => "Unschedulable".into(),
        None => "Pending".into(),
    }),
    Column::age(),
];
