//! Pods: checked as a whole, changed hardly at all, deleted gracefully.

mod container;
mod env;
mod probe;
mod qos;
pub(super) mod resources;
pub(super) mod scheduling;
mod security;
pub(super) mod spec;
mod update;
pub(super) mod volume;

use object::field::ErrorList;
use serde_json::{Value, json};

use super::field::{At, object_at, remove};
use super::{Context, Strategy};

pub(super) struct Pod;

impl Strategy for Pod {
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        let mut status = json!({"phase": "Pending", "qosClass": qos::class(object)});
        if !At::root(object).at("spec").at("schedulingGates").is_empty() {
            status["conditions"] = json!([gated(&object::time::seconds(cx.now))]);
        }
        object["status"] = status;
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        match cx.subresource {
            "ephemeralcontainers" => {
                let containers = object["spec"]["ephemeralContainers"].take();
                object["spec"] = old["spec"].clone();
                object["spec"]["ephemeralContainers"] = containers;
            }
            "resize" => update::keep_all_but_resources(object, old),
            _ => match &old["spec"]["ephemeralContainers"] {
                Value::Null => remove(&mut object["spec"], "ephemeralContainers"),
                kept => drop(object_at(object, "spec").insert("ephemeralContainers".to_owned(), kept.clone())),
            },
        }
        if object["status"].is_object() && object["status"]["qosClass"].is_null() {
            object["status"]["qosClass"] = old["status"]["qosClass"].clone();
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = whole(object);
        let ephemeral = At::root(object).at("spec").at("ephemeralContainers");
        if !ephemeral.is_empty() {
            errors.push(ephemeral.forbidden("cannot be set on create"));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            let mut errors = ErrorList::new();
            update::validate_status(object, old, &mut errors);
            return errors;
        }
        let mut errors = whole(object);
        match cx.subresource {
            "ephemeralcontainers" => update::validate_ephemeral(object, old, &mut errors),
            "resize" => {}
            _ => update::validate(object, old, &mut errors),
        }
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        if cx.subresource.is_empty() { warnings(&At::root(object).at("spec")) } else { Vec::new() }
    }

    fn tracks_generation(&self) -> bool {
        true
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn grace_period(&self, _: &Context<'_>, object: &mut Value, requested: Option<i64>) -> Option<i64> {
        let wished = requested.or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0);
        let unscheduled = object["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
        let ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        Some(match wished {
            _ if unscheduled || ended => 0,
            ..0 => 1,
            wished => wished,
        })
    }
}

fn whole(object: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    spec::validate(&At::root(object).at("spec"), &mut errors);
    errors
}

/// What a caller should know about a pod or a template of pods.
pub(super) fn warnings(spec: &At<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let account = spec.at("serviceAccount");
    if !account.is_empty() && spec.at("serviceAccountName").is_empty() {
        warnings.push(format!("{}: deprecated, use spec.serviceAccountName instead", account.path));
    }
    for container in spec.at("containers").items().chain(spec.at("initContainers").items()) {
        let mut seen = Vec::new();
        for variable in container.at("env").items() {
            let name = variable.at("name").text();
            if seen.contains(&name) {
                warnings.push(format!(
                    "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                    variable.path
                ));
            }
            seen.push(name);
        }
    }
    if spec.at("terminationGracePeriodSeconds").number().is_some_and(|grace| grace < 0) {
        let path = spec.path.child("terminationGracePeriodSeconds");
        warnings.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    warnings
}

fn gated(now: &str) -> Value {
    json!({
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": null,
        "lastTransitionTime": now,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    })
}
