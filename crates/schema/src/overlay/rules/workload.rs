//! Types that hold pod templates, and autoscalers.

use serde_json::{Value, json};

use super::{Object, below, each, entries, has, made, set, text};

/// Labels and selector are the template's.
pub(super) fn replication_controller(controller: &mut Object) {
    let Some(labels) = template_labels(controller) else { return };
    if let Some(spec) = below(controller, "spec")
        && entries(spec, "selector").is_none()
    {
        spec.insert("selector".into(), labels.clone().into());
    }
    own_labels(controller, labels);
}

/// Jobs have one completion, the template's labels, and six retries unless each index counts its own.
pub(super) fn job(job: &mut Object) {
    if let Some(labels) = template_labels(job) {
        own_labels(job, labels);
    }
    let Some(spec) = below(job, "spec") else { return };
    if !has(spec, "completions") && !has(spec, "parallelism") {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let retries = if has(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    set(spec, "backoffLimit", retries);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    let replacement = if has(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    set(spec, "podReplacementPolicy", replacement);
}

/// A rolling update has parameters.
pub(super) fn deployment_strategy(strategy: &mut Object) {
    rolling_update(strategy, &json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
}

pub(super) fn daemon_set_strategy(strategy: &mut Object) {
    rolling_update(strategy, &json!({"maxUnavailable": 1, "maxSurge": 0}));
}

/// Parameters of another strategy are zero, as upstream's internal type has them.
fn rolling_update(strategy: &mut Object, parameters: &Value) {
    let rolls = text(strategy, "type") == "RollingUpdate";
    if rolls {
        set(strategy, "rollingUpdate", Object::new());
    }
    let Some(rolling) = below(strategy, "rollingUpdate") else { return };
    for (field, value) in parameters.as_object().into_iter().flatten() {
        set(rolling, field, if rolls { value.clone() } else { 0.into() });
    }
}

/// Here parameters are made only together with the type.
pub(super) fn stateful_set_strategy(strategy: &mut Object) {
    if text(strategy, "type").is_empty() {
        strategy.insert("type".into(), "RollingUpdate".into());
        set(strategy, "rollingUpdate", Object::new());
    }
}

/// Claim templates say what they are.
pub(super) fn stateful_set(spec: &mut Object) {
    for claim in each(spec, "volumeClaimTemplates") {
        set(claim, "kind", "PersistentVolumeClaim");
        set(claim, "apiVersion", "v1");
    }
}

/// A behaviour that is given at all is completed in both directions.
pub(super) fn autoscaler_behavior(behavior: &mut Object) {
    let policy = |kind: &str, value: i32| json!({"type": kind, "value": value, "periodSeconds": 15});
    if let Some(up) = made(behavior, "scaleUp") {
        set(up, "stabilizationWindowSeconds", 0);
        set(up, "selectPolicy", "Max");
        set(up, "policies", vec![policy("Pods", 4), policy("Percent", 100)]);
    }
    if let Some(down) = made(behavior, "scaleDown") {
        set(down, "selectPolicy", "Max");
        set(down, "policies", vec![policy("Percent", 100)]);
    }
}

fn template_labels(object: &Object) -> Option<Object> {
    let labels = object.get("spec")?.get("template")?.get("metadata")?.get("labels").and_then(Value::as_object)?;
    (!labels.is_empty()).then(|| labels.clone())
}

fn own_labels(object: &mut Object, labels: Object) {
    if let Some(metadata) = made(object, "metadata")
        && entries(metadata, "labels").is_none()
    {
        metadata.insert("labels".into(), labels.into());
    }
}
