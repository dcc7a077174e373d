//! Bindings of admission policies to parameters and requests.

use std::collections::BTreeSet;

use object::field::ErrorList;
use object::names;

use super::{Phase, rule};
use crate::strategy::field::{At, required, required_name, supported, well_formed};
use crate::strategy::labels;

const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];

pub(super) fn validate(spec: &At<'_>, phase: Phase) -> ErrorList {
    let mut errors = ErrorList::new();
    required_name(&spec.at("policyName"), names::dns1123_subdomain, &mut errors);
    param_reference(&spec.at("paramRef"), &mut errors);
    rule::match_resources(&spec.at("matchResources"), &mut errors);
    match phase {
        Phase::Mutating => rule::only_mutable(&spec.at("matchResources"), &mut errors),
        Phase::Validating => actions(&spec.at("validationActions"), &mut errors),
    }
    errors
}

fn param_reference(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let (name, selector) = (at.at("name"), at.at("selector"));
    let both = !name.is_empty() && selector.is_set();
    if !name.is_empty() {
        well_formed(&name, names::path_segment, errors);
    }
    if both {
        errors.push(name.forbidden("name and selector are mutually exclusive"));
    }
    labels::selector(&selector, errors);
    if both {
        errors.push(selector.forbidden("name and selector are mutually exclusive"));
    }
    if name.is_empty() && !selector.is_set() {
        errors.push(at.required("one of name or selector must be specified"));
    }
    let missing = at.at("parameterNotFoundAction");
    if required(&missing, errors) {
        supported(&missing, &["Deny", "Allow"], errors);
    }
}

fn actions(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for action in at.items() {
        supported(&action, ACTIONS, errors);
        if !seen.insert(action.text()) {
            errors.push(action.duplicate());
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                      response and headers serves no purpose)";
        errors.push(at.invalid(detail));
    }
    if seen.is_empty() {
        errors.push(at.required("at least one validation action is required"));
    }
}
