//! What the kinds that make pods from a template share.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::{At, non_negative};
use super::{Context, labels, pod};

/// A `PodTemplateSpec`.
pub(super) fn template(at: &At<'_>, errors: &mut ErrorList) {
    pod::validate_template(at, None, errors);
}

/// The same on an update: what was in `old` may stay, even where new templates could not have it.
pub(super) fn updated_template(at: &At<'_>, old: &Value, errors: &mut ErrorList) {
    pod::validate_template(at, Some(old), errors);
}

/// The selector of a workload. `kind` is for the message: `deployment`.
pub(super) fn selector(spec: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let selector = spec.at("selector");
    if !selector.is_set() {
        errors.push(selector.required(""));
        return;
    }
    labels::selector(&selector, errors);
    if labels::is_empty_selector(&selector) {
        errors.push(selector.invalid(format!("empty selector is invalid for {kind}")));
    }
}

/// The template of replicas, which the selector must select.
pub(super) fn replica_template(spec: &At<'_>, errors: &mut ErrorList) {
    let (selector, inner) = (spec.at("selector"), spec.at("template"));
    if !labels::is_readable(&selector) {
        errors.push(selector.invalid("invalid label selector"));
        return;
    }
    selects_own(&selector, &inner, errors);
    template(&inner, errors);
    restarts_always(&inner, "ReplicaSet", errors);
}

/// A selector must select the pods of the template: an absent one selects nothing, an empty one everything.
pub(super) fn selects_own(selector: &At<'_>, template: &At<'_>, errors: &mut ErrorList) {
    let pod_labels = template.at("metadata").at("labels");
    if !selector.is_set() || !labels::selects(selector, &pod_labels) {
        errors.push(pod_labels.invalid("`selector` does not match template `labels`"));
    }
}

/// What to say about a template that is new or has changed.
pub(super) fn warnings(cx: &Context<'_>, template: &At<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
    if cx.subresource == "status" || !is_changed(object, old) {
        return Vec::new();
    }
    pod::template_warnings(template)
}

/// Whether an object is new or its generation has grown.
pub(super) fn is_changed(object: &Value, old: Option<&Value>) -> bool {
    old.is_none_or(|old| old["metadata"]["generation"] != object["metadata"]["generation"])
}

/// Pods take over the name of what makes them, where more is allowed than in a host name.
pub(super) fn name_warning(object: &Value, old: Option<&Value>) -> Option<String> {
    let messages = object::names::dns1123_label(object::meta::name(object));
    (old.is_none() && !messages.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; \
             a DNS label is recommended: [{}]",
            messages.join(" ")
        )
    })
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

/// A count or a percentage.
pub(super) fn int_or_percent(at: &At<'_>, errors: &mut ErrorList) {
    match at.value {
        Value::String(text) => errors.extend_invalid(&at.path, text, object::names::percent(text)),
        _ => non_negative(at, errors),
    }
}

/// What a count or percentage says, for comparing with zero.
pub(super) fn amount(at: &At<'_>) -> i64 {
    let digits = at.text().strip_suffix('%').unwrap_or_else(|| at.text());
    at.number().unwrap_or_else(|| object::number::parse_int(digits).unwrap_or(0))
}

/// Not more than all.
pub(super) fn not_above_hundred_percent(at: &At<'_>, errors: &mut ErrorList) {
    let is_percent = at.value.is_string() && object::names::percent(at.text()).is_empty();
    if is_percent && amount(at) > 100 {
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

/// A counter that only grows.
pub(super) fn not_decremented(at: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if old.as_i64().is_some_and(|old| at.number().is_none_or(|new| new < old)) {
        errors.push(Error::invalid(&at.path, at.number().unwrap_or(0), "cannot be decremented"));
    }
}
