//! What may change about a pod once it is there.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::super::field::{At, remove};

const ALLOWED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
     `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// An update of the pod itself.
pub(super) fn validate(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (spec, before) = (At::root(object).at("spec"), At::root(old).at("spec"));
    for kind in ["containers", "initContainers"] {
        same_containers(&spec.at(kind), &before.at(kind), errors);
    }
    deadline(&spec.at("activeDeadlineSeconds"), &before.at("activeDeadlineSeconds"), errors);
    tolerations(&spec.at("tolerations"), &before.at("tolerations"), errors);
    gates(&spec.at("schedulingGates"), &before.at("schedulingGates"), errors);
    let gated = !before.at("schedulingGates").is_empty();
    if frozen(spec.value, gated) != frozen(before.value, gated) {
        let grace = spec.at("terminationGracePeriodSeconds");
        let was_negative = before.at("terminationGracePeriodSeconds").number().is_some_and(|grace| grace < 0);
        let mut relaxed = frozen(before.value, gated);
        if was_negative && grace.number() == Some(1) {
            relaxed["terminationGracePeriodSeconds"] = Value::from(1);
        }
        if frozen(spec.value, gated) != relaxed {
            errors.push(spec.forbidden(ALLOWED));
        }
    }
}

/// A write of `/ephemeralcontainers`: they can be added, nothing else.
pub(super) fn validate_ephemeral(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (now, before) = (At::root(object).at("spec").at("ephemeralContainers"), &old["spec"]["ephemeralContainers"]);
    for container in before.as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        match now.items().find(|other| other.at("name").text() == name) {
            None => errors.push(now.forbidden(format!("existing ephemeral containers {name:?} may not be removed\n"))),
            Some(other) if other.value != container => {
                errors.push(now.forbidden(format!("existing ephemeral containers {name:?} may not be changed\n")));
            }
            Some(_) => {}
        }
    }
}

/// A write of `/status`.
pub(super) fn validate_status(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (status, before) = (At::root(object).at("status"), At::root(old).at("status"));
    let restarts = |spec: &Value| spec["restartPolicy"].as_str() == Some("Always");
    if restarts(&old["spec"]) {
        return;
    }
    for (kind, now) in [("containerStatuses", status.at("containerStatuses"))] {
        for container in before.at(kind).items().filter(|c| !c.value["state"]["terminated"].is_null()) {
            let name = container.at("name").text();
            let exited = container.value["state"]["terminated"]["exitCode"].as_i64().unwrap_or_default();
            let may_restart = old["spec"]["restartPolicy"].as_str() == Some("OnFailure") && exited != 0;
            let same = now.items().find(|other| other.at("name").text() == name);
            if let Some(other) = same.filter(|other| !may_restart && other.value["state"]["terminated"].is_null()) {
                errors.push(other.at("state").forbidden("may not be transitioned to non-terminated state"));
            }
        }
    }
}

/// What a write of `/resize` leaves: the old pod with the new resources of its containers.
pub(super) fn keep_all_but_resources(object: &mut Value, old: &Value) {
    let wanted = std::mem::replace(&mut object["spec"], old["spec"].clone());
    for kind in ["containers", "initContainers"] {
        for container in object["spec"].get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            let same = |other: &&Value| other["name"] == container["name"];
            let Some(new) = wanted[kind].as_array().into_iter().flatten().find(same) else { continue };
            let resources = new.get("resources").cloned();
            match resources {
                Some(resources) => container["resources"] = resources,
                None => remove(container, "resources"),
            }
        }
    }
}

/// The spec without what may change. While a pod is gated, what it selects nodes by may change as well.
fn frozen(spec: &Value, gated: bool) -> Value {
    let mut spec = spec.clone();
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        remove(&mut spec, field);
    }
    if gated {
        remove(&mut spec, "nodeSelector");
        remove(&mut spec, "affinity");
    }
    for kind in ["containers", "initContainers"] {
        for container in spec.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            remove(container, "image");
        }
    }
    spec
}

/// That images are not empty is a matter of the whole pod's validation.
fn same_containers(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) {
    if now.items().count() != before.items().count() {
        errors.push(now.forbidden("pod updates may not add or remove containers"));
    }
}

/// A deadline can be set, and drawn nearer.
fn deadline(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) {
    match (now.number(), before.number()) {
        (Some(now_at), Some(before_at)) if now_at > before_at => {
            errors.push(now.invalid(format!("must be less than or equal to previous value {before_at}")));
        }
        (None, Some(_)) => {
            errors.push(Error::invalid(&now.path, Value::Null, "must not update from a positive integer to nil value"));
        }
        _ => {}
    }
}

fn tolerations(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) {
    // The time that a toleration lasts may be changed.
    let essence = |toleration: &At<'_>| {
        let mut essence = toleration.value.clone();
        remove(&mut essence, "tolerationSeconds");
        essence
    };
    let kept: Vec<_> = now.items().map(|toleration| essence(&toleration)).collect();
    if before.items().any(|toleration| !kept.contains(&essence(&toleration))) {
        errors.push(now.forbidden("existing toleration can not be modified except its tolerationSeconds"));
    }
}

fn gates(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) {
    for gate in now.items() {
        let name = gate.at("name").text();
        if !before.items().any(|other| other.at("name").text() == name) {
            errors.push(now.forbidden(format!("only deletion is allowed, but found new scheduling gate '{name}'")));
        }
    }
}
