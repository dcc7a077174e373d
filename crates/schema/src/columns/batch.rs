//! Tables of jobs.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static CRON_JOBS: &[Column] = &[
    Column::name(),
    Column::path("Schedule", "spec.schedule"),
    Column::text("Timezone", |o, _| read::text_or(o, "spec.timeZone", NONE).into()),
    Column::flag("Suspend", |o, _| match read::boolean(o, "spec.suspend") {
        true => "True".into(),
        false => "False".into(),
    }),
    Column::count("Active", |o, _| read::length(o, "status.active").into()),
    Column::text("Last Schedule", |o, now| match read::text(o, "status.lastScheduleTime") {
        "" => NONE.into(),
        time => read::since(time, now).into(),
    }),
    Column::age(),
    Column::text("Containers", |o, _| {
        read::members(o, "spec.jobTemplate.spec.template.spec.containers", "name").into()
    })
    .wide(),
    Column::text("Images", |o, _| read::members(o, "spec.jobTemplate.spec.template.spec.containers", "image").into())
        .wide(),
    Column::text("Selector", |o, _| read::selector(o, "spec.jobTemplate.spec.selector").into()).wide(),
];

pub(super) static JOBS: &[Column] = &[
    Column::name(),
    Column::text("Status", |o, _| status(o).into()),
    Column::text("Completions", |o, _| completions(o).into()),
    Column::text("Duration", |o, now| duration(o, now).into()),
    Column::age(),
    Column::text("Containers", |o, _| read::members(o, "spec.template.spec.containers", "name").into()).wide(),
    Column::text("Images", |o, _| read::members(o, "spec.template.spec.containers", "image").into()).wide(),
    Column::text("Selector", |o, _| read::selector(o, "spec.selector").into()).wide(),
];

fn status(job: &Value) -> &'static str {
    if read::is_true(job, "Complete") {
        "Complete"
    } else if read::is_true(job, "Failed") {
        "Failed"
    } else if !read::text(job, "metadata.deletionTimestamp").is_empty() {
        "Terminating"
    } else if read::is_true(job, "Suspended") {
        "Suspended"
    } else if read::is_true(job, "FailureTarget") {
        "FailureTarget"
    } else if read::is_true(job, "SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = read::integer(job, "status.succeeded");
    if let Some(completions) = read::at(job, "spec.completions").and_then(Value::as_i64) {
        return format!("{succeeded}/{completions}");
    }
    match read::integer(job, "spec.parallelism") {
        parallelism if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        _ => format!("{succeeded}/1"),
    }
}

/// From start to completion, or until now.
fn duration(job: &Value, now: Timestamp) -> String {
    let Some(start) = object::time::parse(read::text(job, "status.startTime")) else { return String::new() };
    let end = object::time::parse(read::text(job, "status.completionTime")).unwrap_or(now);
    object::time::human_duration(end.as_second() - start.as_second())
}
