//! What the kinds that make pods from a template share.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::{At, non_negative};
use super::{labels, pod};

/// A `PodTemplateSpec`.
pub(super) fn template(at: &At<'_>, errors: &mut ErrorList) {
    let metadata = at.at("metadata");
    labels::labels(&metadata.at("labels"), errors);
    labels::annotations(&metadata.at("annotations"), errors);
    pod::spec::validate(&at.at("spec"), errors);
    let ephemeral = at.at("spec").at("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// The selector of a workload, which must select the pods of its own template. `kind` is for the message: `deployment`.
pub(super) fn selected_template(spec: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let (selector, inner) = (spec.at("selector"), spec.at("template"));
    if !selector.is_set() {
        errors.push(selector.required(""));
    } else {
        labels::selector(&selector, errors);
        if labels::is_empty_selector(&selector) {
            errors.push(selector.invalid(format!("empty selector is invalid for {kind}")));
        }
    }
    let pod_labels = inner.at("metadata").at("labels");
    if selector.is_set() && !labels::is_empty_selector(&selector) && !labels::selects(&selector, &pod_labels) {
        errors.push(pod_labels.invalid("`selector` does not match template `labels`"));
    }
    template(&inner, errors);
}

/// Pods that are replaced when they end must not be told to end.
pub(super) fn restarts_always(template: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let spec = template.at("spec");
    let policy = spec.at("restartPolicy");
    if !policy.is_empty() && policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.is_set() {
        errors.push(deadline.forbidden(format!("activeDeadlineSeconds in {kind} is not Supported")));
    }
}

pub(super) fn counts(at: &At<'_>, fields: &[&str], errors: &mut ErrorList) {
    fields.iter().for_each(|field| non_negative(&at.at(field), errors));
}

/// A count or a percentage. Returns its value when it is one: a percentage as such, for comparing with zero.
pub(super) fn int_or_percent(at: &At<'_>, errors: &mut ErrorList) -> Option<i64> {
    match at.value {
        Value::Number(number) => {
            non_negative(at, errors);
            number.as_i64()
        }
        Value::String(text) => {
            let messages = object::names::percent(text);
            let sound = messages.is_empty();
            errors.extend_invalid(&at.path, text, messages);
            if sound { text.trim_end_matches('%').parse().ok() } else { None }
        }
        _ => None,
    }
}

/// Not more than all.
pub(super) fn not_above_hundred_percent(at: &At<'_>, errors: &mut ErrorList) {
    let percent = at.text().strip_suffix('%').and_then(|text| text.parse::<i64>().ok());
    if percent.is_some_and(|percent| percent > 100) {
        errors.push(at.invalid("must not be greater than 100%"));
    }
}

/// Counters of a status, and which of them cannot exceed which: field, other field, message.
pub(super) fn status_counts(status: &At<'_>, fields: &[&str], bounds: &[(&str, &str, &str)], errors: &mut ErrorList) {
    counts(status, fields, errors);
    let number = |field: &str| status.at(field).number().unwrap_or_default();
    for (field, bound, message) in bounds {
        if number(field) > number(bound) {
            errors.push(Error::invalid(&status.path.child(field), number(field), *message));
        }
    }
}
