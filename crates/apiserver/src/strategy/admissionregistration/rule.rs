//! Which requests a webhook or policy is about: rules, selectors, conditions.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;

use crate::strategy::field::{At, optional_supported, required, supported, well_formed};
use crate::strategy::labels;

pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];
const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];
const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// What a policy that changes requests may be about.
const MUTATING_OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "UPDATE"];
const MAX_CONDITIONS: usize = 64;

/// A `RuleWithOperations`.
pub(super) fn rule(at: &At<'_>, errors: &mut ErrorList) {
    let operations = at.at("operations");
    if required(&operations, errors) {
        alone(&operations, "operations", errors);
    }
    operations.items().for_each(|operation| supported(&operation, OPERATIONS, errors));
    let (groups, versions) = (at.at("apiGroups"), at.at("apiVersions"));
    if required(&groups, errors) {
        alone(&groups, "API groups", errors);
    }
    if required(&versions, errors) {
        alone(&versions, "API versions", errors);
    }
    versions.items().for_each(|version| {
        required(&version, errors);
    });
    resources(&at.at("resources"), errors);
    optional_supported(&at.at("scope"), &["*", "Cluster", "Namespaced"], errors);
}

/// A star stands for all, so nothing may stand beside it.
fn alone(list: &At<'_>, what: &str, errors: &mut ErrorList) {
    if list.count() > 1 && list.texts().any(|text| text == "*") {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
}

/// Resources and subresources, with stars for either.
fn resources(at: &At<'_>, errors: &mut ErrorList) {
    required(at, errors);
    let (mut all_below, mut all_of) = (BTreeSet::new(), BTreeSet::new());
    let mut plain = false;
    for entry in at.items().filter(|entry| required(entry, errors)).collect::<Vec<_>>() {
        let text = entry.text();
        let Some((resource, below)) = text.split_once('/') else {
            plain = text != "*";
            continue;
        };
        if all_below.contains(resource) {
            errors.push(entry.invalid(format!("if '{resource}/*' is present, must not specify {text}")));
        }
        if all_of.contains(below) {
            errors.push(entry.invalid(format!("if '*/{below}' is present, must not specify {text}")));
        }
        if below == "*" {
            all_below.insert(resource);
        }
        if resource == "*" {
            all_of.insert(below);
        }
    }
    if at.count() > 1 && at.texts().any(|text| text == "*/*") {
        errors.push(at.invalid("if '*/*' is present, must not specify other resources"));
    }
    if plain && at.texts().any(|text| text == "*") {
        errors.push(at.invalid("if '*' is present, must not specify other resources without subresources"));
    }
}

/// A `NamedRuleWithOperations`.
fn named_rule(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for name in at.at("resourceNames").items() {
        well_formed(&name, names::path_segment, errors);
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
    rule(at, errors);
}

/// A `MatchResources`, which defaults have completed.
pub(super) fn match_resources(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let policy = at.at("matchPolicy");
    if policy.is_set() {
        match_policy(&policy, errors)
    } else {
        errors.push(policy.required(""))
    }
    for field in ["namespaceSelector", "objectSelector"] {
        let selector = at.at(field);
        if selector.is_set() { labels::selector(&selector, errors) } else { errors.push(selector.required("")) }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        at.at(field).items().for_each(|rule| named_rule(&rule, errors));
    }
}

pub(super) fn match_policy(at: &At<'_>, errors: &mut ErrorList) {
    optional_supported(at, MATCH_POLICIES, errors);
}

/// Only what creates, updates or connects can be changed on its way.
pub(super) fn only_mutable(at: &At<'_>, errors: &mut ErrorList) {
    let rules = at.at("resourceRules");
    for operation in rules.items().flat_map(|rule| rule.at("operations").items().collect::<Vec<_>>()) {
        if !MUTATING_OPERATIONS.contains(&operation.text()) {
            let path = rules.path.child("operations");
            errors.push(Error::not_supported(&path, operation.value.clone(), MUTATING_OPERATIONS));
        }
    }
}

/// Match conditions: named expressions, all of which must hold.
pub(super) fn conditions(at: &At<'_>, errors: &mut ErrorList) {
    if at.count() > MAX_CONDITIONS {
        errors.push(Error::too_many(&at.path, at.count(), MAX_CONDITIONS));
    }
    let mut seen = BTreeSet::new();
    for condition in at.items() {
        let (name, expression) = (condition.at("name"), condition.at("expression"));
        if expression.text().trim().is_empty() {
            errors.push(expression.required(""));
        }
        if required(&name, errors) {
            well_formed(&name, names::qualified_name, errors);
            if !seen.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
    }
}
