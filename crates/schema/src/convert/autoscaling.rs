//! Horizontal pod autoscalers: `v1` has one CPU target, and what else `v2` says rides in annotations.

use serde_json::{Map, Value, json};

const V1: &str = "autoscaling/v1";
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
/// The target of an autoscaler without metrics, in percent.
const DEFAULT_UTILIZATION: i64 = 80;
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

pub(crate) fn horizontal_pod_autoscaler(object: &mut Value, from: &str, to: &str) {
    match (from == V1, to == V1) {
        (true, false) => newer(object),
        (false, true) => older(object),
        _ => {}
    }
}

/// `v1` to `v2`.
fn newer(object: &mut Value) {
    let metrics: Option<Vec<Value>> = take_annotation(object, METRICS).and_then(|v| v.as_array().cloned());
    let current = take_annotation(object, CURRENT_METRICS).and_then(|v| v.as_array().cloned());
    let (conditions, behavior) = (take_annotation(object, CONDITIONS), take_annotation(object, BEHAVIOR));
    let utilization = remove(object, "spec", "targetCPUUtilizationPercentage");
    let cpu = utilization.map(cpu_target);
    let mut metrics: Vec<Value> = cpu.into_iter().chain(metrics.unwrap_or_default()).collect();
    if metrics.is_empty() {
        metrics.push(cpu_target(DEFAULT_UTILIZATION.into()));
    }
    set(object, "spec", "metrics", Some(metrics.into()));
    set(object, "spec", "behavior", behavior);
    let utilization = remove(object, "status", "currentCPUUtilizationPercentage");
    let cpu = utilization.map(
        |percent| json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}),
    );
    let current: Vec<Value> = cpu.into_iter().chain(current.unwrap_or_default()).collect();
    set(object, "status", "currentMetrics", (!current.is_empty()).then(|| current.into()));
    set(object, "status", "conditions", conditions);
}

fn cpu_target(percent: Value) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "target": {
        "type": "Utilization", "averageUtilization": percent}}})
}

/// `v2` to `v1`.
fn older(object: &mut Value) {
    let mut metrics = remove(object, "spec", "metrics").and_then(|v| v.as_array().cloned()).unwrap_or_default();
    let target = take_cpu(&mut metrics, "target");
    set(object, "spec", "targetCPUUtilizationPercentage", target);
    let mut current =
        remove(object, "status", "currentMetrics").and_then(|v| v.as_array().cloned()).unwrap_or_default();
    let utilization = take_cpu(&mut current, "current");
    set(object, "status", "currentCPUUtilizationPercentage", utilization);
    let behavior = remove(object, "spec", "behavior");
    let conditions = remove(object, "status", "conditions");
    let rest = |list: Vec<Value>| (!list.is_empty()).then(|| Value::Array(list));
    annotate(object, METRICS, rest(metrics));
    annotate(object, CURRENT_METRICS, rest(current));
    annotate(object, CONDITIONS, conditions);
    annotate(object, BEHAVIOR, behavior);
}

/// Takes the first CPU utilization out of a list of metrics.
fn take_cpu(metrics: &mut Vec<Value>, part: &str) -> Option<Value> {
    let utilization = |metric: &Value| {
        let cpu = metric.get("type")? == "Resource" && metric.pointer("/resource/name")? == "cpu";
        let value = metric.pointer(&format!("/resource/{part}/averageUtilization"))?;
        (cpu && !value.is_null()).then(|| value.clone())
    };
    let position = metrics.iter().position(|m| utilization(m).is_some())?;
    let value = utilization(&metrics[position]);
    metrics.remove(position);
    value
}

fn remove(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.shift_remove(field).filter(|v| !v.is_null())
}

fn set(object: &mut Value, part: &str, field: &str, value: Option<Value>) {
    if let (Some(value), Some(fields)) = (value, object.get_mut(part).and_then(Value::as_object_mut)) {
        fields.insert(field.to_owned(), value);
    }
}

/// Takes an annotation that holds JSON; one that does not parse is lost, as upstream loses it.
fn take_annotation(object: &mut Value, key: &str) -> Option<Value> {
    let annotations = object.pointer_mut("/metadata/annotations")?.as_object_mut()?;
    let text = annotations.shift_remove(key)?;
    serde_json::from_str(text.as_str()?).ok()
}

fn annotate(object: &mut Value, key: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(key.to_owned(), value.to_string().into());
    }
}
