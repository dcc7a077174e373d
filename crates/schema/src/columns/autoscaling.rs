//! The table of autoscalers.

use serde_json::Value;

use super::{
    Column,
    read::{self, NONE, UNKNOWN},
};

pub(super) static HORIZONTAL_POD_AUTOSCALERS: &[Column] = &[
    Column::name(),
    Column::text("Reference", |o, _| {
        format!("{}/{}", read::text(o, "spec.scaleTargetRef.kind"), read::text(o, "spec.scaleTargetRef.name")).into()
    }),
    Column::text("Targets", |o, _| targets(o).into()),
    Column::text("MinPods", |o, _| read::printed(o, "spec.minReplicas", "<unset>").into()),
    Column::text("MaxPods", |o, _| read::integer(o, "spec.maxReplicas").into()),
    Column::text("Replicas", |o, _| read::integer(o, "status.currentReplicas").into()),
    Column::age(),
];

/// Metrics beyond these are only counted.
const SHOWN: usize = 2;

fn targets(hpa: &Value) -> String {
    let specs = read::list(hpa, "spec.metrics");
    if specs.is_empty() {
        return NONE.to_owned();
    }
    let statuses = read::list(hpa, "status.currentMetrics");
    let shown: Vec<String> =
        specs.iter().enumerate().take(SHOWN).map(|(i, spec)| target(spec, statuses.get(i))).collect();
    let (shown, more) = (shown.join(", "), specs.len().saturating_sub(SHOWN));
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}

fn target(spec: &Value, status: Option<&Value>) -> String {
    let kind = read::text(spec, "type");
    let (field, named) = match kind {
        "External" => ("external", String::new()),
        "Pods" => ("pods", String::new()),
        "Object" => ("object", String::new()),
        "Resource" => ("resource", format!("{}: ", read::text(spec, "resource.name"))),
        "ContainerResource" => ("containerResource", format!("{}: ", read::text(spec, "containerResource.name"))),
        _ => return "<unknown type>".to_owned(),
    };
    let current = |part: &str, suffix: &str| {
        let text = status.map(|s| read::printed(s, &format!("{field}.current.{part}"), "")).unwrap_or_default();
        if text.is_empty() { UNKNOWN.to_owned() } else { text + suffix }
    };
    let wanted = |part: &str| read::printed(spec, &format!("{field}.target.{part}"), "");
    let average = wanted("averageValue");
    if !average.is_empty() {
        let note = if matches!(kind, "External" | "Object") { " (avg)" } else { "" };
        return format!("{named}{}/{average}{note}", current("averageValue", ""));
    }
    if named.is_empty() {
        return format!("{}/{}", current("value", ""), wanted("value"));
    }
    let utilization = match wanted("averageUtilization") {
        none if none.is_empty() => "<auto>".to_owned(),
        percent => percent + "%",
    };
    format!("{named}{}/{utilization}", current("averageUtilization", "%"))
}
