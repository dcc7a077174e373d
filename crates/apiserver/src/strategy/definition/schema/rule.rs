//! Rules of validation: their texts, not their meaning.

use object::field::ErrorList;
use serde_json::Value;

use crate::strategy::definition::path;
use crate::strategy::field::{At, optional_supported};

const REASONS: &[&str] = &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

pub(super) fn rule(at: &At<'_>, schema: &Value, errors: &mut ErrorList) {
    let broken = |at: &At<'_>| at.text().trim().contains(['\n', '\r']);
    let blank = |at: &At<'_>| !at.is_empty() && at.text().trim().is_empty();
    let (rule, message) = (at.at("rule"), at.at("message"));
    if rule.text().trim().is_empty() {
        errors.push(rule.required("rule is not specified"));
    } else if blank(&message) {
        errors.push(message.invalid("must be non-empty if specified"));
    } else if broken(&message) {
        errors.push(message.invalid("must not contain line breaks"));
    } else if broken(&rule) && message.is_empty() {
        errors.push(message.required("message must be specified if rule contains line breaks"));
    }
    if blank(&at.at("messageExpression")) {
        errors.push(at.at("messageExpression").required("messageExpression must be non-empty if specified"));
    }
    optional_supported(&at.at("reason"), REASONS, errors);
    field_path(&at.at("fieldPath"), schema, errors);
}

/// The field that a failed rule is said to be about.
fn field_path(at: &At<'_>, schema: &Value, errors: &mut ErrorList) {
    if at.is_empty() {
        return;
    }
    if at.text().trim().is_empty() {
        errors.push(at.invalid("must be non-empty if specified"));
    }
    if at.text().contains(['\n', '\r']) {
        errors.push(at.invalid("must not contain line breaks"));
    }
    if path::find(at.text(), schema, true).is_err() {
        errors.push(at.invalid("must be a valid path"));
    }
}
