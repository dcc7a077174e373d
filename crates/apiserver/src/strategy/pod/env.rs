//! Environment variables and where their values come from.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::super::field::{At, no_backsteps};
use super::super::rules::{self, Rule, Rules};
use super::each_container;

const SOURCES: &[&str] = &["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

const KEY: Rules = &[("name", Rule::Holds(reference_name)), ("key", Rule::Name(names::config_map_key))];
const FILE: Rules = &[
    ("key", Rule::Name(names::env_var_name)),
    ("volumeName", Rule::Name(names::dns1123_label)),
    ("path", Rule::Required),
    ("path", Rule::Holds(no_backsteps)),
];

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

/// Fields of a pod that can be shown somewhere.
const KNOWN_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];

/// Resources of a container that can be shown.
const CONTAINER_RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const SIZES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Units in which a resource can be shown: what its name ends in, how messages call it, the units.
const DIVISORS: &[(&str, &str, &[&str])] = &[
    (".cpu", "cpu", &["1m", "1"]),
    (".memory", "memory", SIZES),
    (".ephemeral-storage", "local ephemeral storage", SIZES),
    (".hugepages-", "hugepages", SIZES),
];

pub(super) fn validate(list: &At<'_>, errors: &mut ErrorList) {
    for variable in list.items() {
        rules::check(&variable, &[("name", Rule::Name(names::env_var_name))], errors);
        value_from(&variable, errors);
    }
}

pub(super) fn validate_from(list: &At<'_>, errors: &mut ErrorList) {
    const REFERENCE: Rules = &[("name", Rule::Name(prefix_of_name))];
    for source in list.items() {
        rules::check(&source, &[("prefix", Rule::OptionalName(names::env_var_name))], errors);
        let present: Vec<_> = source.present(&["configMapRef", "secretRef"]).collect();
        present.iter().for_each(|kind| rules::check(&source.at(kind), REFERENCE, errors));
        exactly_one(list, present.len(), "must specify one of: `configMapRef` or `secretRef`", errors);
    }
}

/// Variables from files need a volume that lives as long as the pod.
pub(super) fn files(spec: &At<'_>, errors: &mut ErrorList) {
    let volume = |name: &str| spec.at("volumes").items().filter(|v| v.at("name").text() == name).last();
    for variable in each_container(spec).flat_map(|container| container.at("env").items()) {
        let file = variable.at("valueFrom").at("fileKeyRef");
        let name = file.at("volumeName");
        match volume(name.text()) {
            _ if !file.is_set() => {}
            None => errors.push(Error::not_found(&name.path, name.text())),
            Some(volume) if !volume.at("emptyDir").is_set() => {
                errors.push(name.invalid("referenced volume must be of type emptyDir"));
            }
            Some(_) => {}
        }
    }
}

fn value_from(variable: &At<'_>, errors: &mut ErrorList) {
    let from = variable.at("valueFrom");
    if !from.is_set() {
        return;
    }
    let present: Vec<_> = from.present(SOURCES).collect();
    present.iter().for_each(|kind| source(&from.at(kind), kind, errors));
    if !present.is_empty() && !variable.at("value").is_empty() {
        errors.push(Error::invalid(&from.path, "", "may not be specified when `value` is not empty"));
        return;
    }
    let none = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    exactly_one(&from, present.len(), none, errors);
}

fn exactly_one(at: &At<'_>, count: usize, none: &str, errors: &mut ErrorList) {
    match count {
        0 => errors.push(Error::invalid(&at.path, "", none)),
        1 => {}
        _ => errors.push(Error::invalid(&at.path, "", "may not have more than one field specified at a time")),
    }
}

fn source(source: &At<'_>, kind: &str, errors: &mut ErrorList) {
    match kind {
        "fieldRef" => field_ref(source, POD_FIELDS, errors),
        "resourceFieldRef" => resource_ref(source, false, errors),
        "configMapKeyRef" | "secretKeyRef" => rules::check(source, KEY, errors),
        _ => rules::check(source, FILE, errors),
    }
}

/// The name of what is referred to; an absent one is an empty one.
fn reference_name(at: &At<'_>, errors: &mut ErrorList) {
    errors.extend_invalid(&at.path, at.text(), names::dns1123_subdomain(at.text()));
}

fn prefix_of_name(name: &str) -> Vec<String> {
    names::dns1123_subdomain(&super::super::without_final_dash(name, true))
}

/// A reference to a field of the pod; `metadata.labels['x']` and `metadata.annotations['x']` are always allowed.
pub(super) fn field_ref(at: &At<'_>, allowed: &[&str], errors: &mut ErrorList) {
    let (version, path) = (at.at("apiVersion"), at.at("fieldPath"));
    if let Some(missing) = [&version, &path].into_iter().find(|field| field.is_empty()) {
        errors.push(missing.required(""));
        return;
    }
    if let Err(why) = known_field(version.text(), path.text()) {
        errors.push(path.invalid(format!("error converting fieldPath: {why}")));
        return;
    }
    match subscript(path.text()) {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            errors.extend_invalid(&at.path, &key, names::qualified_name(&key));
        }
        Some((_, key)) => errors.extend_invalid(&at.path, key, names::qualified_name(key)),
        None if allowed.contains(&path.text()) => {}
        None => errors.push(path.unsupported(allowed)),
    }
}

fn known_field(version: &str, path: &str) -> Result<(), String> {
    match (version, subscript(path)) {
        ("v1", Some(("metadata.annotations" | "metadata.labels", _))) => Ok(()),
        ("v1", Some(_)) => Err(format!("field label does not support subscript: {path}")),
        ("v1", None) if KNOWN_FIELDS.contains(&path) => Ok(()),
        ("v1", None) => Err(format!("field label not supported: {path}")),
        _ => Err(format!("unsupported pod version: {version}")),
    }
}

/// Splits `field['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// A reference to a container's resource. In volumes the container must be named.
pub(super) fn resource_ref(at: &At<'_>, in_volume: bool, errors: &mut ErrorList) {
    let (container, resource) = (at.at("containerName"), at.at("resource"));
    let known = |name: &str| {
        let huge = |prefix| name.starts_with(prefix);
        CONTAINER_RESOURCES.contains(&name) || huge("limits.hugepages-") || huge("requests.hugepages-")
    };
    if in_volume && container.is_empty() {
        errors.push(container.required(""));
    } else if resource.is_empty() {
        errors.push(resource.required(""));
    } else if !known(resource.text()) {
        errors.push(resource.unsupported(CONTAINER_RESOURCES));
    }
    divisor(at, resource.text(), errors);
}

fn divisor(at: &At<'_>, resource: &str, errors: &mut ErrorList) {
    let divisor = at.at("divisor");
    let Some(quantity) = divisor.quantity().filter(|quantity| !quantity.is_zero()) else { return };
    let rest = resource.strip_prefix("limits").or_else(|| resource.strip_prefix("requests")).unwrap_or_default();
    let matches = |name: &str| if name.ends_with('-') { rest.starts_with(name) } else { rest == name };
    let Some((_, what, units)) = DIVISORS.iter().find(|(name, ..)| matches(name)) else { return };
    if !units.contains(&quantity.to_string().as_str()) {
        let values = if *what == "cpu" { "1m and 1".to_owned() } else { units.join(", ") };
        let detail = format!("only divisor's values {values} are supported with the {what} resource");
        errors.push(Error::invalid(&divisor.path, Value::from(resource), detail));
    }
}

/// The fields of a pod that a file may show.
pub(super) fn file_field(at: &At<'_>, errors: &mut ErrorList) {
    const FIELDS: &[&str] =
        &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
    field_ref(at, FIELDS, errors);
}
