//! What may change about a pod once it is there.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::super::field::{At, remove, required};
use super::super::{difference, structs};
use super::container::padded_image;
use super::prepare::entries;

const ALLOWED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
     `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const REQUIRED_NODES: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// An update of the pod itself.
pub(super) fn validate(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (spec, before) = (At::root(object).at("spec"), At::root(old).at("spec"));
    for kind in ["containers", "initContainers"] {
        let list = spec.at(kind);
        if list.items().count() != before.at(kind).items().count() {
            errors.push(list.forbidden("pod updates may not add or remove containers"));
            return;
        }
        for container in list.items() {
            required(&container.at("image"), errors);
            padded_image(&container, errors);
        }
    }
    if !deadline(&spec.at("activeDeadlineSeconds"), &before.at("activeDeadlineSeconds"), errors) {
        return;
    }
    tolerations(&spec.at("tolerations"), &before.at("tolerations"), errors);
    gates(&spec.at("schedulingGates"), &before.at("schedulingGates"), errors);
    let mut rest = spec.value.clone();
    take_back(&mut rest, before.value);
    if !before.at("schedulingGates").is_empty() {
        gated(&mut rest, &spec, before.value, errors);
    }
    if rest != *before.value {
        let [was, is] = [before.value, &rest].map(|spec| structs::pretty("PodSpec", spec));
        errors.push(spec.forbidden(format!("{ALLOWED}\n{}", difference::of(&was, &is))));
    }
}

/// A write of `/ephemeralcontainers`: they can be added, nothing else.
pub(super) fn validate_ephemeral(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (now, before) = (At::root(object).at("spec").at("ephemeralContainers"), &old["spec"]["ephemeralContainers"]);
    for container in before.as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let detail = match now.items().filter(|other| other.at("name").text() == name).last() {
            None => format!("existing ephemeral containers {name:?} may not be removed\n"),
            Some(other) if other.value != container => {
                let [was, is] = [container, other.value].map(|c| structs::pretty("EphemeralContainer", c));
                let difference = difference::of(&was, &is);
                format!("existing ephemeral containers {name:?} may not be changed\n{difference}")
            }
            Some(_) => continue,
        };
        errors.push(now.forbidden(detail));
    }
}

/// Undoes what may change.
fn take_back(spec: &mut Value, before: &Value) {
    for kind in ["containers", "initContainers"] {
        let old = before[kind].as_array().into_iter().flatten();
        entries(spec, kind).zip(old).for_each(|(now, was)| restore(now, was, "image"));
    }
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        restore(spec, before, field);
    }
    let grace = "terminationGracePeriodSeconds";
    if spec[grace] == 1 && before[grace].as_i64().is_some_and(|grace| grace < 0) {
        restore(spec, before, grace);
    }
}

fn restore(object: &mut Value, before: &Value, field: &str) {
    match &before[field] {
        Value::Null => remove(object, field),
        was => object[field] = was.clone(),
    }
}

/// While a pod is gated, what it selects nodes by may be narrowed.
fn gated(rest: &mut Value, spec: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let selector = spec.at("nodeSelector");
    let kept = |(key, value): (&String, &Value)| selector.value[key] == *value;
    if !before["nodeSelector"].as_object().into_iter().flatten().all(kept) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(Error::invalid(&selector.path, selector.value.clone(), detail));
    }
    restore(rest, before, "nodeSelector");
    let (now, was) = (&spec.value["affinity"]["nodeAffinity"], &before["affinity"]["nodeAffinity"]);
    if now == was {
        return;
    }
    node_affinity(&spec.at("affinity").at("nodeAffinity").at(REQUIRED_NODES), &was[REQUIRED_NODES], errors);
    let others = |affinity: &Value| !affinity["podAffinity"].is_null() || !affinity["podAntiAffinity"].is_null();
    match (rest["affinity"].is_null(), was.is_null()) {
        (true, true) => {}
        (true, false) => rest["affinity"] = serde_json::json!({ "nodeAffinity": was }),
        (false, _) if before["affinity"].is_null() && !others(&rest["affinity"]) => remove(rest, "affinity"),
        (false, _) => restore(&mut rest["affinity"], &before["affinity"], "nodeAffinity"),
    }
}

fn node_affinity(now: &At<'_>, was: &Value, errors: &mut ErrorList) {
    let (terms, old) = (now.at("nodeSelectorTerms"), &was["nodeSelectorTerms"]);
    let old: Vec<_> = old.as_array().into_iter().flatten().collect();
    if old.is_empty() {
        return;
    }
    let shown = |term: &At<'_>| structs::value("NodeSelectorTerm", term.value);
    if terms.items().count() != old.len() {
        let all: Vec<_> = terms.items().map(|term| shown(&term)).collect();
        let all = if terms.is_set() { Value::from(all) } else { Value::Null };
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(Error::invalid(&terms.path, all, detail));
        return;
    }
    for (term, _) in terms.items().zip(old).filter(|(term, old)| !only_adds(term.value, old)) {
        let detail = "only additions are allowed (no mutations or deletions)";
        errors.push(Error::invalid(&term.path, shown(&term), detail));
    }
}

fn only_adds(now: &Value, old: &Value) -> bool {
    let list = |term: &Value, field: &str| term[field].as_array().cloned().unwrap_or_default();
    let fields = ["matchExpressions", "matchFields"];
    let empty = |term: &Value| fields.iter().all(|field| list(term, field).is_empty());
    (!empty(old) || empty(now)) && fields.iter().all(|field| list(now, field).starts_with(&list(old, field)))
}

/// A deadline can be set, and drawn nearer. Returns whether anything else is worth a look.
fn deadline(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) -> bool {
    let max = i64::from(i32::MAX);
    let detail = match (now.number(), before.number()) {
        (Some(number), _) if !(0..=max).contains(&number) => format!("must be between 0 and {max}, inclusive"),
        (Some(number), Some(was)) if number > was => "must be less than or equal to previous value".to_owned(),
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(Error::invalid(&now.path, Value::Null, detail));
            return true;
        }
        _ => return true,
    };
    errors.push(now.invalid(detail));
    false
}

/// The time that a toleration lasts may be changed; others may be added.
fn tolerations(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) {
    let essence = |toleration: At<'_>| {
        let mut essence = toleration.value.clone();
        remove(&mut essence, "tolerationSeconds");
        essence
    };
    let kept: Vec<_> = now.items().map(essence).collect();
    if before.items().any(|toleration| !kept.contains(&essence(toleration))) {
        errors.push(now.forbidden("existing toleration can not be modified except its tolerationSeconds"));
    }
}

fn gates(now: &At<'_>, before: &At<'_>, errors: &mut ErrorList) {
    for gate in now.items().map(|gate| gate.at("name")) {
        if !before.items().any(|other| other.at("name").value == gate.value) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.text());
            errors.push(gate.forbidden(detail));
        }
    }
}
