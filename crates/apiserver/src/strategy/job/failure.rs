//! What becomes of a job when its pods fail.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, well_formed};

const MAX_RULES: usize = 20;
const MAX_VALUES: usize = 255;
const MAX_PATTERNS: usize = 20;

const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: &[&str] = &["In", "NotIn"];
const STATUSES: &[&str] = &["False", "True", "Unknown"];

pub(super) fn validate(spec: &At<'_>, errors: &mut ErrorList) {
    let rules = spec.at("podFailurePolicy").at("rules");
    at_most(&rules, MAX_RULES, errors);
    for rule in rules.items() {
        action(spec, &rule.at("action"), errors);
        let (codes, patterns) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
        if codes.is_set() {
            exit_codes(spec, &codes, errors);
        }
        conditions(&patterns, errors);
        let problem = match (codes.is_set(), !patterns.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        errors.push(Error::invalid_unshown(&rule.path, problem));
    }
}

fn action(spec: &At<'_>, at: &At<'_>, errors: &mut ErrorList) {
    if choice(at, ACTIONS, errors) && at.text() == "FailIndex" && !spec.at("backoffLimitPerIndex").is_set() {
        errors.push(at.invalid("requires the backoffLimitPerIndex to be set"));
    }
}

fn conditions(patterns: &At<'_>, errors: &mut ErrorList) {
    at_most(patterns, MAX_PATTERNS, errors);
    for pattern in patterns.items() {
        well_formed(&pattern.at("type"), names::qualified_name, errors);
        choice(&pattern.at("status"), STATUSES, errors);
    }
}

fn exit_codes(spec: &At<'_>, codes: &At<'_>, errors: &mut ErrorList) {
    let (operator, container, values) = (codes.at("operator"), codes.at("containerName"), codes.at("values"));
    choice(&operator, OPERATORS, errors);
    let pod = spec.at("template").at("spec");
    let mut containers = pod.at("containers").items().chain(pod.at("initContainers").items());
    if container.is_set() && !containers.any(|known| known.at("name").text() == container.text()) {
        errors.push(container.invalid("must be one of the container or initContainer names in the pod template"));
    }
    if values.is_empty() {
        errors.push(values.invalid("at least one value is required"));
    }
    at_most(&values, MAX_VALUES, errors);
    let mut seen: Vec<&Value> = Vec::new();
    for value in values.items() {
        if operator.text() == "In" && value.number() == Some(0) {
            errors.push(value.invalid("must not be 0 for the In operator"));
        }
        if seen.contains(&value.value) {
            errors.push(value.duplicate());
        }
        seen.push(value.value);
    }
    if !seen.is_sorted_by_key(|value| value.as_i64()) {
        errors.push(values.invalid("must be ordered"));
    }
}

/// Must be one of `supported`. Returns whether it is.
fn choice(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) -> bool {
    let known = supported.contains(&at.text());
    if at.is_empty() {
        let quoted: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        errors.push(at.required(&format!("valid values: [{}]", quoted.join(" "))));
    } else if !known {
        errors.push(at.unsupported(supported));
    }
    known
}

pub(super) fn at_most(at: &At<'_>, max: usize, errors: &mut ErrorList) {
    let count = at.items().count();
    if count > max {
        errors.push(Error::too_many(&at.path, count, max));
    }
}
