//! Resource requests and limits.

use object::field::{Error, ErrorList};
use object::names;
use object::quantity::Quantity;

use super::super::field::At;

const STANDARD: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// The resources of a container (or pod).
pub(in super::super) fn validate(at: &At<'_>, errors: &mut ErrorList) {
    let (limits, requests) = (at.at("limits"), at.at("requests"));
    for (name, limit) in limits.entries() {
        resource_name(&limit, name, errors);
        quantity(&limit, name, errors);
    }
    for (name, request) in requests.entries() {
        resource_name(&request, name, errors);
        quantity(&request, name, errors);
        let limit = limits.at(name);
        if limit.is_set() {
            within(&requests, &request, &limit, name, errors);
        } else if !may_overcommit(name) {
            errors.push(limits.required("Limit must be set for non overcommitable resources"));
        }
    }
}

/// Container resources are standard ones or have a domain.
pub(in super::super) fn resource_name(at: &At<'_>, name: &str, errors: &mut ErrorList) {
    let messages = names::qualified_name(name);
    if !messages.is_empty() {
        errors.extend_invalid(&at.path, name, messages);
    } else if !name.contains('/') && !is_standard(name) {
        errors.push(Error::invalid(&at.path, name, "must be a standard resource type or fully qualified"));
        errors.push(Error::invalid(&at.path, name, "must be a standard resource for containers"));
    }
}

fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || name.starts_with("hugepages-")
}

/// Whether less may be requested than the limit.
fn may_overcommit(name: &str) -> bool {
    (!name.contains('/') || name.contains("kubernetes.io/")) && !name.starts_with("hugepages-")
}

/// Must not be negative, and whole where parts make no sense.
pub(in super::super) fn quantity(at: &At<'_>, name: &str, errors: &mut ErrorList) {
    let Some(quantity) = parse(at) else {
        errors.push(at.invalid("must be a quantity"));
        return;
    };
    if quantity.is_negative() {
        errors.push(at.invalid("must be greater than or equal to 0"));
    }
    if !may_overcommit(name) && quantity.milli_value() % 1000 != 0 {
        errors.push(at.invalid("must be an integer"));
    }
}

fn within(requests: &At<'_>, request: &At<'_>, limit: &At<'_>, name: &str, errors: &mut ErrorList) {
    let (Some(requested), Some(limited)) = (parse(request), parse(limit)) else { return };
    let gap = limited.minus(requested);
    let detail = if !may_overcommit(name) && !gap.is_zero() {
        format!("must be equal to {name} limit of {}", limit.text())
    } else if gap.is_negative() {
        format!("must be less than or equal to {name} limit of {}", limit.text())
    } else {
        return;
    };
    errors.push(Error::invalid(&requests.path, request.value.clone(), detail));
}

pub(in super::super) fn parse(at: &At<'_>) -> Option<Quantity> {
    match at.value {
        serde_json::Value::String(text) => Quantity::parse(text).ok(),
        serde_json::Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}
