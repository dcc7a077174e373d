//! What the server makes of a pod that a client has sent: features that are off are dropped, and what follows from
//! other fields is written down.

use serde_json::{Value, json};

use super::super::field::{object_at, remove};
use super::annotations;
use crate::pipeline::Warnings;

/// Fields of features that are off in 1.36, below a pod; `*` stands for every entry of a list.
const OFF: &[&str] = &[
    "spec.schedulingGroup",
    "spec.volumes.*.projected.sources.*.clusterTrustBundle",
    "spec.volumes.*.projected.sources.*.podCertificate",
    "spec.initContainers.*.lifecycle.stopSignal",
    "spec.containers.*.lifecycle.stopSignal",
    "spec.ephemeralContainers.*.lifecycle.stopSignal",
    "status.containerStatuses.*.volumeMounts.*.volumeStatus",
    "status.initContainerStatuses.*.volumeMounts.*.volumeStatus",
    "status.ephemeralContainerStatuses.*.volumeMounts.*.volumeStatus",
    "status.nodeAllocatableResourceClaimStatuses",
];

const CONTAINERS: &[&str] = &["initContainers", "containers", "ephemeralContainers"];

/// Drops what belongs to features that are off, unless it was there before. `pod` is a pod or a template.
pub(in super::super) fn drop_disabled(pod: &mut Value, old: Option<&Value>) {
    for path in OFF {
        let path: Vec<_> = path.split('.').collect();
        if !old.is_some_and(|old| holds(old, &path)) {
            take(pod, &path);
        }
    }
    let Some(spec) = pod.get_mut("spec") else { return };
    for list in CONTAINERS {
        for container in entries(spec, list) {
            if container["lifecycle"].as_object().is_some_and(serde_json::Map::is_empty) {
                remove(container, "lifecycle");
            }
        }
    }
}

/// The entries of a list, to be changed.
pub(super) fn entries<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Whether anything stands at a path.
fn holds(value: &Value, path: &[&str]) -> bool {
    match path {
        [] => !value.is_null(),
        ["*", rest @ ..] => value.as_array().into_iter().flatten().any(|item| holds(item, rest)),
        [field, rest @ ..] => holds(&value[*field], rest),
    }
}

fn take(value: &mut Value, path: &[&str]) {
    match path {
        [] => {}
        [field] => remove(value, field),
        ["*", rest @ ..] => value.as_array_mut().into_iter().flatten().for_each(|item| take(item, rest)),
        [field, rest @ ..] => {
            if let Some(inner) = value.get_mut(*field) {
                take(inner, rest);
            }
        }
    }
}

/// Selectors of other pods that take values from this one's labels get them.
pub(super) fn merge_label_keys(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    let Some(spec) = pod.get_mut("spec").filter(|_| labels.is_object()) else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.get_mut("affinity").and_then(|affinity| affinity.get_mut(kind)) else { continue };
        for term in entries(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = term.get_mut("podAffinityTerm") {
                merge_keys(term, &labels);
            }
        }
        let required = entries(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        required.for_each(|term| merge_keys(term, &labels));
    }
    entries(spec, "topologySpreadConstraints").for_each(|constraint| merge_keys(constraint, &labels));
}

fn merge_keys(term: &mut Value, labels: &Value) {
    let mut added = Vec::new();
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys = term[list].as_array().into_iter().flatten().filter_map(Value::as_str);
        for key in keys.filter(|key| labels[*key].is_string()) {
            added.push(json!({"key": key, "operator": operator, "values": [labels[key]]}));
        }
    }
    if added.is_empty() || !term["labelSelector"].is_object() {
        return;
    }
    let selector = object_at(term, "labelSelector");
    match selector.entry("matchExpressions").or_insert_with(|| json!([])) {
        Value::Array(expressions) => expressions.extend(added),
        other => *other = added.into(),
    }
}

/// An AppArmor annotation becomes a field, and who wrote it is told so.
pub(super) fn adopt_apparmor(pod: &mut Value, warnings: &Warnings) {
    if pod["spec"]["os"]["name"] == "windows" || !pod["metadata"]["annotations"].is_object() {
        return;
    }
    let (annotations, whole) =
        (pod["metadata"]["annotations"].clone(), pod["spec"]["securityContext"]["appArmorProfile"].clone());
    let Some(spec) = pod.get_mut("spec") else { return };
    for list in CONTAINERS {
        for container in entries(spec, list) {
            let key = format!("{}{}", annotations::APPARMOR, container["name"].as_str().unwrap_or_default());
            if let Some(annotation) = annotations[&key].as_str()
                && adopt(container, annotation, &whole)
            {
                let hint = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
                warnings.add(format!("metadata.annotations[{key}]: {hint}"));
            }
        }
    }
}

/// Whether the annotation is worth a warning: the field did not say the same.
fn adopt(container: &mut Value, annotation: &str, whole: &Value) -> bool {
    if !container["securityContext"]["appArmorProfile"].is_null() {
        return false;
    }
    match annotations::apparmor_field(annotation) {
        Some(field) if field == *whole => false,
        Some(field) => {
            object_at(container, "securityContext").insert("appArmorProfile".to_owned(), field);
            true
        }
        None => true,
    }
}
