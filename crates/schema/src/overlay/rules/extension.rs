//! Custom resource definitions, subjects of roles, device requests.

use serde_json::Value;

use super::{Object, made, set, text};

/// Users and groups belong to the API group of roles; service accounts to the core group.
pub(super) fn subject(subject: &mut Object) {
    if text(subject, "apiGroup").is_empty() && matches!(text(subject, "kind"), "User" | "Group") {
        subject.insert("apiGroup".into(), "rbac.authorization.k8s.io".into());
    }
}

/// Singular and list kind follow from the kind.
pub(super) fn definition_names(names: &mut Object) {
    let kind = text(names, "kind").to_owned();
    if kind.is_empty() {
        return;
    }
    if text(names, "singular").is_empty() {
        names.insert("singular".into(), kind.to_lowercase().into());
    }
    if text(names, "listKind").is_empty() {
        names.insert("listKind".into(), format!("{kind}List").into());
    }
}

/// The storage version is the first of those in which objects may be stored.
pub(super) fn definition(definition: &mut Object) {
    let versions = definition.get("spec").and_then(|s| s.get("versions")).and_then(Value::as_array);
    let storage = versions.into_iter().flatten().find(|v| v.get("storage") == Some(&Value::Bool(true)));
    let Some(name) = storage.and_then(|v| v.get("name")).cloned() else { return };
    if let Some(status) = made(definition, "status")
        && status.get("storedVersions").and_then(Value::as_array).is_none_or(Vec::is_empty)
    {
        status.insert("storedVersions".into(), vec![name].into());
    }
}

/// An exact number of devices is one device.
pub(super) fn device_request(request: &mut Object) {
    if text(request, "allocationMode") == "ExactCount" && request.get("count").is_none_or(|c| c.is_null() || *c == 0) {
        request.insert("count".into(), 1.into());
    }
}

/// The flat form of a request, which may instead list alternatives.
pub(super) fn flat_device_request(request: &mut Object) {
    if text(request, "deviceClassName").is_empty() {
        return;
    }
    if text(request, "allocationMode").is_empty() {
        request.shift_remove("allocationMode");
        set(request, "allocationMode", "ExactCount");
    }
    device_request(request);
}
