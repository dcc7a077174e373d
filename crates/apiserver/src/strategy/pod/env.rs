//! Environment variables and where their values come from.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, optional_name, required, required_name};

const SOURCES: &[&str] = &["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

/// Fields of a pod that a variable may show.
const POD_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Resources of a container that a variable may show.
const CONTAINER_RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

pub(super) fn validate(at: &At<'_>, errors: &mut ErrorList) {
    for variable in at.items() {
        required_name(&variable.at("name"), names::env_var_name, errors);
        value_from(&variable, errors);
    }
}

pub(super) fn validate_from(at: &At<'_>, errors: &mut ErrorList) {
    for source in at.items() {
        optional_name(&source.at("prefix"), names::env_var_name, errors);
        let present: Vec<_> = source.present(&["configMapRef", "secretRef"]).collect();
        for kind in &present {
            required(&source.at(kind).at("name"), errors);
        }
        exactly_one(&source, present.len(), "must specify one of: `configMapRef` or `secretRef`", errors);
    }
}

fn value_from(variable: &At<'_>, errors: &mut ErrorList) {
    let from = variable.at("valueFrom");
    if !from.is_set() {
        return;
    }
    let present: Vec<_> = from.present(SOURCES).collect();
    for kind in &present {
        source(&from, kind, errors);
    }
    if !present.is_empty() && !variable.at("value").is_empty() {
        errors.push(Error::invalid(&from.path, "", "may not be specified when `value` is not empty"));
    } else {
        let one_of = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        exactly_one(&from, present.len(), one_of, errors);
    }
}

fn exactly_one(at: &At<'_>, count: usize, none: &str, errors: &mut ErrorList) {
    match count {
        0 => errors.push(Error::invalid(&at.path, "", none)),
        1 => {}
        _ => errors.push(Error::invalid(&at.path, "", "may not have more than one field specified at a time")),
    }
}

fn source(from: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let source = from.at(kind);
    match kind {
        "fieldRef" => field_ref(&source, POD_FIELDS, errors),
        "resourceFieldRef" => resource_ref(&source, false, errors),
        "configMapKeyRef" | "secretKeyRef" => {
            required(&source.at("name"), errors);
            required_name(&source.at("key"), names::config_map_key, errors);
        }
        _ => {
            required(&source.at("volumeName"), errors);
            required(&source.at("path"), errors);
            required(&source.at("key"), errors);
        }
    }
}

/// A reference to a field of the pod; `metadata.labels['x']` and `metadata.annotations['x']` are always allowed.
pub(super) fn field_ref(at: &At<'_>, allowed: &[&str], errors: &mut ErrorList) {
    let path = at.at("fieldPath");
    if !required(&at.at("apiVersion"), errors) || !required(&path, errors) {
        return;
    }
    match subscript(path.text()) {
        Some(("metadata.annotations", key)) => {
            errors.extend_invalid(&path.path, key, names::qualified_name(&key.to_lowercase()));
        }
        Some(("metadata.labels", key)) => errors.extend_invalid(&path.path, key, names::qualified_name(key)),
        Some((field, _)) => errors.push(Error::invalid(&path.path, field, "does not support subscript")),
        None if allowed.contains(&path.text()) => {}
        None => errors.push(path.unsupported(allowed)),
    }
}

/// Splits `field['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// A reference to a container's resource. In volumes the container must be named.
pub(super) fn resource_ref(at: &At<'_>, in_volume: bool, errors: &mut ErrorList) {
    if in_volume {
        required(&at.at("containerName"), errors);
    }
    let resource = at.at("resource");
    let known = |name: &str| {
        CONTAINER_RESOURCES.contains(&name)
            || name.starts_with("limits.hugepages-")
            || name.starts_with("requests.hugepages-")
    };
    if required(&resource, errors) && !known(resource.text()) {
        errors.push(resource.unsupported(CONTAINER_RESOURCES));
    }
}
