//! Annotations that mean something for a pod, and fields that took their place.

use object::field::{Error, ErrorList, Path, quote};
use serde_json::Value;

use super::super::field::At;
use super::options::Options;
use super::{each_container, scheduling, security};

const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
pub(super) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub(super) const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(super) const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Whether the pod stands for one that its kubelet runs on its own.
pub(super) fn is_mirror(metadata: &Value) -> bool {
    metadata["annotations"][MIRROR].is_string()
}

/// How much the pod is worth; `None` when the annotation is not a number.
pub(super) fn deletion_cost(metadata: &Value) -> Option<i32> {
    match metadata["annotations"][DELETION_COST].as_str() {
        None => Some(0),
        // A plus sign, zeros in front and any other number than in its usual form are refused.
        Some(text) => text.parse().ok().filter(|cost: &i32| cost.to_string() == text),
    }
}

/// The annotations of a pod or a template.
pub(super) fn validate(metadata: &At<'_>, spec: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let at = metadata.at("annotations");
    let mirror = at.at(MIRROR).shown(at.path.key(MIRROR));
    if mirror.is_set() && spec.at("nodeName").is_empty() {
        errors.push(mirror.invalid("must set spec.nodeName if mirror pod annotation is set"));
    }
    tolerations(&at, options, errors);
    if !options.deletion_cost && deletion_cost(metadata.value).is_none() {
        let cost = at.at(DELETION_COST).shown(at.path.key(DELETION_COST));
        errors.push(cost.invalid("must be a 32bit integer"));
    }
    seccomp(&at, errors);
    apparmor(&at, spec, errors);
}

fn tolerations(at: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let Some(text) = at.value[TOLERATIONS].as_str().filter(|text| !text.is_empty()) else { return };
    match serde_json::from_str::<Value>(text) {
        Ok(list) if list.is_array() || list.is_null() => {
            scheduling::tolerations(&At { value: &list, path: at.path.child(TOLERATIONS) }, options, errors);
        }
        Ok(_) => errors.push(Error::invalid(&at.path, TOLERATIONS, "must be a list of tolerations")),
        Err(error) => errors.push(Error::invalid(&at.path, TOLERATIONS, error.to_string())),
    }
}

fn seccomp(at: &At<'_>, errors: &mut ErrorList) {
    if let Some(profile) = at.value[SECCOMP_POD].as_str() {
        security::annotated_profile(&at.path.child(SECCOMP_POD), profile, errors);
    }
    for (key, profile) in at.entries().filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER)) {
        security::annotated_profile(&at.path.child(key), profile.text(), errors);
    }
}

fn apparmor(at: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    for (key, profile) in at.entries() {
        let Some(name) = key.strip_prefix(APPARMOR) else { continue };
        if !each_container(spec).any(|container| container.at("name").text() == name) {
            errors.push(Error::invalid(&profile.path, name, "container not found"));
        }
        let text = profile.text();
        if !matches!(text, "" | "runtime/default" | "unconfined") && !text.starts_with("localhost/") {
            let detail = format!("invalid AppArmor profile name: {}", quote(text));
            errors.push(Error::invalid(&profile.path, text, detail));
        }
    }
}

/// Annotations and fields say the same where both are there.
pub(super) fn agree(metadata: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    let annotations = &metadata.value["annotations"];
    let context = spec.at("securityContext");
    agrees(annotations[SECCOMP_POD].as_str(), &context.at("seccompProfile"), &SECCOMP, errors);
    for container in each_container(spec) {
        let profile = container.at("securityContext").at("seccompProfile");
        let annotation = &annotations[format!("{SECCOMP_CONTAINER}{}", container.at("name").text())];
        agrees(annotation.as_str(), &profile, &SECCOMP, errors);
    }
    if spec.at("os").at("name").text() == "windows" {
        return;
    }
    for container in each_container(spec) {
        let own = container.at("securityContext").at("appArmorProfile");
        let whole = context.at("appArmorProfile").shown(own.path.clone());
        let annotation = &annotations[format!("{APPARMOR}{}", container.at("name").text())];
        agrees(annotation.as_str(), if own.is_set() { &own } else { &whole }, &APPARMOR_WORDS, errors);
    }
}

/// How annotations of a kind name the types of profiles.
struct Words {
    kind: &'static str,
    default: &'static [&'static str],
}

const SECCOMP: Words = Words { kind: "seccomp", default: &["runtime/default", "docker/default"] };
const APPARMOR_WORDS: Words = Words { kind: "apparmor", default: &["runtime/default"] };

fn agrees(annotation: Option<&str>, profile: &At<'_>, words: &Words, errors: &mut ErrorList) {
    let Some(annotation) = annotation.filter(|_| profile.is_set()) else { return };
    let field = match profile.at("type").text() {
        "Unconfined" if annotation != "unconfined" => "type",
        "RuntimeDefault" if !words.default.contains(&annotation) => "type",
        "Localhost" => match annotation.strip_prefix("localhost/") {
            None => "type",
            Some(name) if profile.value["localhostProfile"] != name => "localhostProfile",
            Some(_) => return,
        },
        _ => return,
    };
    let what = if field == "type" { "type" } else { "profile" };
    let detail = format!("{} {what} in annotation and field must match", words.kind);
    errors.push(profile.at(field).forbidden(detail));
}

/// What an update may not do to annotations.
pub(super) fn validate_update(metadata: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let at = metadata.at("annotations");
    let guarded = |key: &str| match key {
        MIRROR => Some("mirror pod annotation"),
        key if key.starts_with(APPARMOR) => Some("AppArmor annotations"),
        _ => None,
    };
    for (key, before) in old["annotations"].as_object().into_iter().flatten() {
        if let Some(what) = guarded(key).filter(|_| at.value[key] != *before) {
            errors.push(Error::forbidden(&at.path.key(key), format!("may not remove or update {what}")));
        }
    }
    for (key, entry) in at.entries().filter(|(key, _)| old["annotations"][*key].is_null()) {
        if let Some(what) = guarded(key) {
            errors.push(Error::forbidden(&entry.path, format!("may not add {what}")));
        }
    }
}

/// The field that says what an AppArmor annotation says; none when it says nothing sensible.
pub(super) fn apparmor_field(annotation: &str) -> Option<Value> {
    match annotation {
        "unconfined" => Some(serde_json::json!({"type": "Unconfined"})),
        "runtime/default" => Some(serde_json::json!({"type": "RuntimeDefault"})),
        _ => {
            let local = annotation.strip_prefix("localhost/").filter(|name| !name.is_empty())?;
            let field = serde_json::json!({"type": "Localhost", "localhostProfile": local});
            let mut errors = ErrorList::new();
            security::apparmor(&At { value: &field, path: Path::root() }, &mut errors);
            errors.is_empty().then_some(field)
        }
    }
}
