//! When containers start again: after they end, and when their resources change.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};

use super::super::field::{At, one_of};

const POLICIES: &[&str] = &["Always", "Never", "OnFailure"];
const ACTIONS: &[&str] = &["Restart", "RestartAllContainers"];
const OPERATORS: &[&str] = &["In", "NotIn"];
const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;

/// A container's own policy and its rules.
pub(super) fn policy(container: &At<'_>, errors: &mut ErrorList) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if !policy.is_set() {
        if rules.is_empty() {
            return;
        }
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    } else if !POLICIES.contains(&policy.text()) {
        errors.push(policy.unsupported(POLICIES));
    }
    let count = rules.items().count();
    if count > MAX_RULES {
        errors.push(Error::too_many(&rules.path, count, MAX_RULES));
    }
    rules.items().for_each(|rule| check_rule(&rule, errors));
}

/// The same for init containers, where rules without a policy are all that is said.
pub(super) fn init_policy(container: &At<'_>, errors: &mut ErrorList) {
    let name = container.at("restartPolicy");
    if name.is_set() {
        policy(container, errors);
    } else if !container.at("restartPolicyRules").is_empty() {
        errors.push(name.required("must specify restartPolicy when restart rules are used"));
    }
}

fn check_rule(rule: &At<'_>, errors: &mut ErrorList) {
    supported(&rule.at("action"), ACTIONS, errors);
    let codes = rule.at("exitCodes");
    if !codes.is_set() {
        errors.push(codes.required("must be specified"));
        return;
    }
    supported(&codes.at("operator"), OPERATORS, errors);
    let values = codes.at("values");
    let count = values.items().count();
    if count > MAX_CODES {
        errors.push(Error::too_many(&values.path, count, MAX_CODES));
    }
}

/// Must be one of these, even when it is absent.
pub(super) fn supported(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if !supported.contains(&at.text()) {
        errors.push(Error::not_supported(&at.path, at.text(), supported));
    }
}

/// What happens to a container when a resource of it changes.
pub(super) fn resize_policy(list: &At<'_>, pod_policy: &str, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for entry in list.items() {
        let (resource, policy) = (entry.at("resourceName"), entry.at("restartPolicy"));
        if !seen.insert(resource.text()) {
            errors.push(Error::duplicate(&entry.path, resource.text()));
        }
        one_of(&resource.shown(list.path.clone()), &["cpu", "memory"], errors);
        one_of(&policy.shown(list.path.clone()), &["NotRequired", "RestartContainer"], errors);
        if pod_policy == "Never" && policy.text() != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(Error::invalid(&list.path, policy.text(), detail));
        }
    }
}

/// A container that runs once cannot be restarted by a change.
pub(super) fn no_restarting_resize(container: &At<'_>, errors: &mut ErrorList) {
    let policies = container.at("resizePolicy").items().map(|entry| entry.at("restartPolicy"));
    let detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
    errors.extend(policies.filter(|p| p.text() == "RestartContainer").map(|p| p.invalid(detail)));
}
