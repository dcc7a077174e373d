//! What updates of a status keep, and conditions.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::field::{At, remove, well_formed};

/// Metadata that says what an object is, for kinds whose status updates leave it alone.
pub(super) const IDENTITY: &[&str] =
    &["deletionTimestamp", "generation", "selfLink", "labels", "annotations", "finalizers", "ownerReferences"];

const MAX_REASON: usize = 1024;
const MAX_MESSAGE: usize = 32 << 10;

/// Takes fields of the metadata from `old`.
pub(super) fn keep_metadata(object: &mut Value, old: &Value, fields: &[&str]) {
    for field in fields {
        match &old["metadata"][*field] {
            Value::Null => remove(&mut object["metadata"], field),
            kept => object["metadata"][*field] = kept.clone(),
        }
    }
}

/// A list of `meta/v1` conditions, one of a type.
pub(super) fn conditions(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for condition in at.items() {
        let kind = condition.at("type");
        if seen.contains(&kind.text()) {
            errors.push(kind.duplicate());
        }
        seen.push(kind.text());
        validate(&condition, errors);
    }
}

/// Whether the condition of a type is true.
pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    has(object, kind, "True")
}

/// Whether the condition of a type has a status.
pub(super) fn has(object: &Value, kind: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == kind && condition["status"] == status)
}

fn validate(condition: &At<'_>, errors: &mut ErrorList) {
    well_formed(&condition.at("type"), names::qualified_name, errors);
    let status = condition.at("status");
    if !["False", "True", "Unknown"].contains(&status.text()) {
        errors.push(Error::not_supported(&status.path, status.text(), &["False", "True", "Unknown"]));
    }
    let observed = condition.at("observedGeneration");
    if observed.number().is_some_and(|generation| generation < 0) {
        errors.push(observed.invalid("must be greater than or equal to zero"));
    }
    if !condition.at("lastTransitionTime").is_set() {
        errors.push(condition.at("lastTransitionTime").required(""));
    }
    let (reason, message) = (condition.at("reason"), condition.at("message"));
    if reason.is_empty() {
        errors.push(reason.required(""));
    } else {
        well_formed(&reason, names::condition_reason, errors);
    }
    for (text, max) in [(reason, MAX_REASON), (message, MAX_MESSAGE)] {
        if text.text().len() > max {
            errors.push(Error::too_long(&text.path, max));
        }
    }
}
