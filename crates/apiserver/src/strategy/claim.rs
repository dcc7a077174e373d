//! PersistentVolumeClaims: what they ask for does not change, except that they may grow.

use object::field::{Error, ErrorList, quote};
use object::names;
use object::quantity::Quantity;
use serde_json::{Value, json};

use super::field::{At, immutable, optional_name, remove};
use super::resources::{amount, is_native};
use super::{Context, Strategy, difference, labels, structs};

pub(super) struct Claim;

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
pub(super) const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];
pub(super) const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const RESIZE_STATES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

impl Strategy for Claim {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object["status"] = json!({"phase": "Pending"});
        sources(object, None);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource.is_empty() {
            sources(object, Some(old));
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), None, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            status(&At::root(object).at("status"), &mut errors);
            return errors;
        }
        spec(&At::root(object).at("spec"), Some(&old["spec"]), &mut errors);
        update(object, old, &mut errors);
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let (root, mut all) = (At::root(object), Vec::new());
        if cx.subresource.is_empty() {
            let annotations = root.at("metadata").at("annotations");
            if !annotations.value[CLASS_ANNOTATION].is_null() {
                let hint = "deprecated since v1.8; use \"storageClassName\" attribute instead";
                all.push(format!("{}: {hint}", annotations.path.key(CLASS_ANNOTATION)));
            }
            warnings(&root.at("spec"), &mut all);
        }
        all
    }

    fn returns_deleted(&self) -> bool {
        true
    }
}

/// A claim in the making: in a pod's volume or in what makes pods.
pub(super) fn template(at: &At<'_>, errors: &mut ErrorList) {
    let metadata = at.at("metadata");
    labels::annotations(&metadata.at("annotations"), errors);
    labels::labels(&metadata.at("labels"), errors);
    for (field, other) in metadata.value.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "labels" | "annotations") && !other.is_null() {
            errors.push(metadata.at(field).forbidden("cannot be set"));
        }
    }
    spec(&at.at("spec"), None, errors);
}

/// Adds what there is to say about what a claim asks for.
pub(super) fn warnings(spec: &At<'_>, warnings: &mut Vec<String>) {
    for list in ["requests", "limits"] {
        let list = spec.at("resources").at(list);
        let storage = list.at("storage").quantity().filter(|quantity| quantity.milli_value() % 1000 != 0);
        if let Some(storage) = storage {
            let (path, storage) = (list.path.key("storage"), quote(&storage.to_string()));
            warnings.push(format!("{path}: fractional byte value {storage} is invalid, must be an integer"));
        }
    }
}

/// A claim can be filled from a source, which has two fields: an old one and one for all kinds of sources.
fn sources(object: &mut Value, old: Option<&Value>) {
    let before = old.map_or(&Value::Null, |old| &old["spec"]);
    let Some(spec) = object.get_mut("spec") else { return };
    let elsewhere = !spec["dataSourceRef"]["namespace"].as_str().unwrap_or_default().is_empty();
    if elsewhere && before["dataSourceRef"].is_null() {
        remove(spec, "dataSourceRef");
    }
    let used = !before["dataSource"].is_null() || !before["dataSourceRef"].is_null();
    if !used && spec["dataSourceRef"].is_null() && !is_known_source(&spec["dataSource"]) {
        remove(spec, "dataSource");
    }
    let (source, reference) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    let local = reference["namespace"].as_str().unwrap_or_default().is_empty();
    if !source.is_null() && reference.is_null() {
        spec["dataSourceRef"] = source;
    } else if !reference.is_null() && source.is_null() && local {
        spec["dataSource"] = reference;
        remove(&mut spec["dataSource"], "namespace");
    }
}

fn is_known_source(source: &Value) -> bool {
    let group = source["apiGroup"].as_str().unwrap_or_default();
    matches!(
        (source["kind"].as_str(), group),
        (Some("PersistentVolumeClaim"), "") | (Some("VolumeSnapshot"), "snapshot.storage.k8s.io")
    )
}

/// The spec of a claim; `old` is what it was before.
pub(super) fn spec(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let (modes, selector) = (spec.at("accessModes"), spec.at("selector"));
    if modes.is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    labels::selector_with(&selector, old.is_some_and(|old| has_bad_selector(&old["selector"])), errors);
    access_modes(&modes, errors);
    storage(spec, errors);
    optional_name(&spec.at("storageClassName"), names::dns1123_subdomain, errors);
    let mode = spec.at("volumeMode");
    if mode.is_set() && !VOLUME_MODES.contains(&mode.text()) {
        errors.push(mode.unsupported(VOLUME_MODES));
    }
    let any_group =
        old.is_some_and(|old| ["dataSource", "dataSourceRef"].iter().any(|field| old[*field]["apiGroup"].is_string()));
    data_sources(spec, any_group, errors);
    optional_name(&spec.at("volumeAttributesClassName"), names::dns1123_subdomain, errors);
}

fn has_bad_selector(selector: &Value) -> bool {
    let mut errors = ErrorList::new();
    labels::selector(&At::root(selector), &mut errors);
    !errors.is_empty()
}

/// Whoever has a volume alone cannot share it.
pub(super) fn access_modes(modes: &At<'_>, errors: &mut ErrorList) {
    let known = |mode: &At<'_>| ACCESS_MODES.contains(&mode.text());
    for mode in modes.items().filter(|mode| !known(mode)) {
        errors.push(Error::not_supported(&modes.path, mode.text(), ACCESS_MODES));
    }
    let alone = |mode: &At<'_>| mode.text() == "ReadWriteOncePod";
    if modes.items().any(|mode| alone(&mode)) && modes.items().any(|mode| known(&mode) && !alone(&mode)) {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

/// Upstream names the resources where it means what is requested.
fn storage(spec: &At<'_>, errors: &mut ErrorList) {
    let path = spec.at("resources").path.key("storage");
    let storage = spec.at("resources").at("requests").at("storage").shown(path);
    match storage.quantity() {
        None => errors.push(storage.required("")),
        Some(quantity) if quantity.is_negative() || quantity.is_zero() => {
            errors.push(storage.invalid("must be greater than zero"));
        }
        Some(_) => amount(&storage, "storage", errors),
    }
}

fn data_sources(spec: &At<'_>, any_group: bool, errors: &mut ErrorList) {
    let (source, reference) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    for at in [&source, &reference].into_iter().filter(|at| at.is_set()) {
        data_source(at, any_group, errors);
    }
    let elsewhere = !reference.at("namespace").is_empty();
    optional_name(&reference.at("namespace"), names::dns1123_label, errors);
    let same = ["apiGroup", "kind", "name"].iter().all(|field| source.value[*field] == reference.value[*field]);
    let detail = match (source.is_set(), reference.is_set()) {
        (true, true) if elsewhere => "may not be specified when dataSourceRef.namespace is specified",
        (true, true) if !same => "must match dataSourceRef",
        _ => return,
    };
    // Upstream shows the path as the value, which prints as an empty object.
    errors.push(Error::invalid(&spec.path, json!({}), detail));
}

fn data_source(at: &At<'_>, any_group: bool, errors: &mut ErrorList) {
    let (name, kind, group) = (at.at("name"), at.at("kind"), at.at("apiGroup"));
    for field in [&name, &kind].into_iter().filter(|field| field.is_empty()) {
        errors.push(field.required(""));
    }
    if group.is_empty() && kind.text() != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(Error::invalid(&at.path, kind.text(), detail));
    }
    if !any_group {
        optional_name(&group, names::dns1123_subdomain, errors);
    }
}

fn update(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (root, before) = (At::root(object), &old["spec"]);
    let spec = root.at("spec");
    let (mut rest, mut was) = (spec.value.clone(), before.clone());
    if before["volumeName"].as_str().unwrap_or_default().is_empty() {
        put(&mut was, &rest, "volumeName");
    }
    class(&root, old, &mut rest, &was, errors);
    if object["status"]["phase"] == "Bound" {
        if rest["resources"]["requests"].is_object() {
            let requests = &mut rest["resources"]["requests"];
            put(requests, &before["resources"]["requests"], "storage");
        }
        put(&mut rest, &was, "volumeAttributesClassName");
    }
    if rest != was {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        let [was, is] = [&was, &rest].map(|spec| structs::pretty("PersistentVolumeClaimSpec", spec));
        errors.push(spec.forbidden(format!("{detail}\n{}", difference::of(&was, &is))));
    }
    shrinking(&spec, old, errors);
    immutable(&spec.at("volumeMode").shown(object::field::Path::new("volumeMode")), &before["volumeMode"], errors);
    attributes(&spec.at("volumeAttributesClassName"), old, errors);
}

fn put(to: &mut Value, from: &Value, field: &str) {
    match &from[field] {
        Value::Null => remove(to, field),
        value => to[field] = value.clone(),
    }
}

/// A class can be given once, or move from the annotation to the field.
fn class(root: &At<'_>, old: &Value, rest: &mut Value, was: &Value, errors: &mut ErrorList) {
    let class = &root.value["spec"]["storageClassName"];
    let annotations = root.at("metadata").at("annotations");
    let (now, before) = (&annotations.value[CLASS_ANNOTATION], &old["metadata"]["annotations"][CLASS_ANNOTATION]);
    let unset = was["storageClassName"].is_null();
    if !before.is_null() && unset && class == before && (now.is_null() || now == before) {
        remove(rest, "storageClassName");
        return;
    }
    if now != before {
        let path = annotations.path.child(CLASS_ANNOTATION);
        errors.push(Error::invalid(&path, now.as_str().unwrap_or_default(), "field is immutable"));
    }
    if !class.is_null() && unset && (before.is_null() || class == before) {
        remove(rest, "storageClassName");
    }
}

/// A claim can shrink only while it has not grown yet.
fn shrinking(spec: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let storage = spec.at("resources").at("requests").at("storage");
    let amount = |value: &Value| At::root(value).quantity().unwrap_or(Quantity::ZERO);
    let (now, before) = (amount(storage.value), amount(&old["spec"]["resources"]["requests"]["storage"]));
    if now < before && now <= amount(&old["status"]["capacity"]["storage"]) {
        errors.push(storage.forbidden("field can not be less than status.capacity"));
    }
}

fn attributes(class: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if *class.value == old["spec"]["volumeAttributesClassName"]
        || old["status"]["currentVolumeAttributesClassName"].is_null()
    {
        return;
    }
    let what = match class.value.as_str() {
        None => "nil",
        Some("") => "empty string",
        Some(_) => return,
    };
    let detail = format!("update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil");
    errors.push(class.forbidden(detail));
}

fn status(status: &At<'_>, errors: &mut ErrorList) {
    let sound = |at: &At<'_>, errors: &mut ErrorList| {
        let value = at.quantity().map_or(0, |quantity| quantity.value());
        if value < 0 {
            errors.push(Error::invalid(&at.path, value, "must be a valid resource quantity"));
        }
        value >= 0
    };
    for (_, at) in status.at("capacity").entries() {
        sound(&at, errors);
    }
    let states = status.at("allocatedResourceStatuses");
    for (name, state) in states.entries() {
        resource_key(&states, name, errors);
        if !RESIZE_STATES.contains(&state.text()) {
            errors.push(Error::not_supported(&states.path, name, RESIZE_STATES));
        }
    }
    let allocated = status.at("allocatedResources");
    for (name, at) in allocated.entries() {
        if resource_key(&allocated, name, errors) && sound(&at, errors) {
            amount(&at, "storage", errors);
        }
    }
}

/// What a claim can have beside storage has a domain of its own. Returns whether the name is sound.
fn resource_key(list: &At<'_>, name: &str, errors: &mut ErrorList) -> bool {
    let messages = names::qualified_name(name);
    let known = !is_native(name) || name == "storage";
    if messages.is_empty() && !known {
        errors.push(Error::not_supported(&list.path, name, &["storage"]));
    }
    let sound = messages.is_empty() && known;
    errors.extend_invalid(&list.path, name, messages);
    sound
}
