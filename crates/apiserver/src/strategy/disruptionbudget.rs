//! PodDisruptionBudgets.

use object::field::ErrorList;
use serde_json::Value;

use super::field::At;
use super::workload::{counts, int_or_percent, not_above_hundred_percent};
use super::{Context, Strategy, labels, status};

pub(super) struct DisruptionBudget;

const COUNTS: &[&str] = &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
const POLICIES: &[&str] = &["AlwaysAllow", "IfHealthyBudget"];

impl Strategy for DisruptionBudget {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let bounds = [spec.at("minAvailable"), spec.at("maxUnavailable")];
        if bounds.iter().all(At::is_set) {
            let text = "minAvailable and maxUnavailable cannot be both set";
            errors.push(spec.invalid_struct("policy.v1.PodDisruptionBudgetSpec", text));
        }
        for bound in bounds.iter().filter(|bound| bound.is_set()) {
            int_or_percent(bound, &mut errors);
            not_above_hundred_percent(bound, &mut errors);
        }
        labels::selector(&spec.at("selector"), &mut errors);
        let policy = spec.at("unhealthyPodEvictionPolicy");
        if policy.is_set() && !POLICIES.contains(&policy.text()) {
            errors.push(policy.unsupported(POLICIES));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        if cx.subresource != "status" {
            return self.validate(cx, object);
        }
        let (at, mut errors) = (At::root(object).at("status"), ErrorList::new());
        status::conditions(&at.at("conditions"), &mut errors);
        counts(&at, COUNTS, &mut errors);
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}
