//! What an update may change of a job.

use object::field::ErrorList;
use serde_json::Value;

use super::spec;
use crate::strategy::field::{At, immutable, remove};
use crate::strategy::shown::immutable_struct;
use crate::strategy::status;

pub(super) fn validate(object: &Value, old: &Value) -> ErrorList {
    let (spec, before, mut errors) = (At::root(object).at("spec"), &old["spec"], ErrorList::new());
    spec::validate_whole(&spec, &mut errors);
    completions(&spec, before, &mut errors);
    immutable(&spec.at("selector"), &before["selector"], &mut errors);
    template(&spec.at("template"), old, &mut errors);
    immutable(&spec.at("completionMode"), &before["completionMode"], &mut errors);
    let failure = spec.at("podFailurePolicy");
    immutable_struct(&failure, &before["podFailurePolicy"], "batch.v1.PodFailurePolicy", &mut errors);
    for field in ["backoffLimitPerIndex", "managedBy"] {
        immutable(&spec.at(field), &before[field], &mut errors);
    }
    let success = spec.at("successPolicy");
    immutable_struct(&success, &before["successPolicy"], "batch.v1.SuccessPolicy", &mut errors);
    errors
}

/// An indexed job may be given more or fewer indexes, all of which run at once.
fn completions(spec: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let at = spec.at("completions");
    if !spec::is_indexed(spec) {
        immutable(&at, &before["completions"], errors);
    } else if at.is_set() && *at.value != before["completions"] && at.value != spec.at("parallelism").value {
        let root = spec.path.as_str().split('.').next().unwrap_or_default();
        errors.push(at.invalid(format!("can only be modified in tandem with {root}.parallelism")));
    }
}

/// A suspended job's pods may still be placed and sized.
fn template(at: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let mut before = old["spec"]["template"].clone();
    if !may_change(old) {
        immutable_struct(at, &before, "core.v1.PodTemplateSpec", errors);
        return;
    }
    let spec = at.at("spec");
    placed(&mut before["spec"], spec.value);
    sized(&mut before["spec"], spec.value);
    immutable_struct(&spec, &before["spec"], "core.v1.PodSpec", errors);
}

fn may_change(old: &Value) -> bool {
    let idle = old["status"]["active"].as_i64().unwrap_or(0) == 0;
    let stopped = old["status"]["startTime"].is_null() || status::is_true(old, "Suspended");
    old["spec"]["suspend"] == true && stopped && idle
}

fn placed(before: &mut Value, now: &Value) {
    for field in ["nodeSelector", "tolerations", "schedulingGates"] {
        take(before, now, field);
    }
    if now["affinity"].is_null() && before["affinity"].is_null() {
        return;
    }
    take(&mut before["affinity"], &now["affinity"], "nodeAffinity");
    let is_empty = |affinity: &Value| affinity.as_object().is_none_or(serde_json::Map::is_empty);
    if now["affinity"].is_null() && is_empty(&before["affinity"]) {
        remove(before, "affinity");
    } else if before["affinity"].is_null() {
        before["affinity"] = serde_json::json!({});
    }
}

fn sized(before: &mut Value, now: &Value) {
    for list in ["containers", "initContainers"] {
        let Some(now) = now[list].as_array() else { continue };
        let Some(before) = before[list].as_array_mut().filter(|before| before.len() == now.len()) else { continue };
        for (before, now) in before.iter_mut().zip(now).filter(|(before, now)| before["name"] == now["name"]) {
            take(before, now, "resources");
        }
    }
}

/// Takes a field over.
fn take(to: &mut Value, from: &Value, field: &str) {
    match &from[field] {
        Value::Null => remove(to, field),
        value => to[field] = value.clone(),
    }
}
