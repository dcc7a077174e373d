//! Webhook configurations.

use std::collections::BTreeSet;

use object::field::ErrorList;
use object::names;
use serde_json::Value;

use super::{Phase, rule};
use crate::strategy::field::{At, fully_qualified, optional_supported, well_formed};
use crate::strategy::{labels, webhook};

/// The versions of `AdmissionReview` that this server speaks.
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];
const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
const REINVOCATIONS: &[&str] = &["IfNeeded", "Never"];

pub(super) fn validate(root: &At<'_>, phase: Phase, check_conditions: bool) -> ErrorList {
    let (mut errors, mut seen) = (ErrorList::new(), BTreeSet::new());
    for hook in root.at("webhooks").items() {
        validate_hook(&hook, phase, check_conditions, &mut errors);
        review_versions(&hook.at("admissionReviewVersions"), &mut errors);
        let name = hook.at("name");
        if !name.is_empty() && !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
    errors
}

/// Whether an update touches match conditions: others are not checked again.
pub(super) fn conditions_differ(object: &Value, old: &Value) -> bool {
    let hooks = |object: &Value| object["webhooks"].as_array().cloned().unwrap_or_default();
    let (new, old) = (hooks(object), hooks(old));
    new.len() != old.len() || new.iter().zip(&old).any(|(new, old)| new["matchConditions"] != old["matchConditions"])
}

fn validate_hook(hook: &At<'_>, phase: Phase, check_conditions: bool, errors: &mut ErrorList) {
    fully_qualified(&hook.at("name"), errors);
    hook.at("rules").items().for_each(|entry| rule::rule(&entry, errors));
    optional_supported(&hook.at("failurePolicy"), rule::FAILURE_POLICIES, errors);
    rule::match_policy(&hook.at("matchPolicy"), errors);
    let side_effects = hook.at("sideEffects");
    if side_effects.is_set() {
        optional_supported(&side_effects, SIDE_EFFECTS, errors);
    } else {
        errors.push(side_effects.required(&format!("must specify one of {}", SIDE_EFFECTS.join(", "))));
    }
    let timeout = hook.at("timeoutSeconds");
    if timeout.number().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    labels::selector(&hook.at("namespaceSelector"), errors);
    labels::selector(&hook.at("objectSelector"), errors);
    if phase == Phase::Mutating {
        optional_supported(&hook.at("reinvocationPolicy"), REINVOCATIONS, errors);
    }
    webhook::client_config(&hook.at("clientConfig"), errors);
    if check_conditions {
        rule::conditions(&hook.at("matchConditions"), errors);
    }
}

fn review_versions(at: &At<'_>, errors: &mut ErrorList) {
    let known = REVIEW_VERSIONS.join(", ");
    if at.is_empty() {
        errors.push(at.required(&format!("must specify one of {known}")));
        return;
    }
    let mut seen = BTreeSet::new();
    for version in at.items() {
        if seen.insert(version.text()) {
            well_formed(&version, names::dns1035_label, errors);
        } else {
            errors.push(version.invalid("duplicate version"));
        }
    }
    if !at.texts().any(|version| REVIEW_VERSIONS.contains(&version)) {
        errors.push(at.invalid(format!("must include at least one of {known}")));
    }
}
