//! What configures admission: webhooks, policies, and the bindings of policies.
//!
//! Expressions are texts here: whether they compile is not looked at.

mod binding;
mod policy;
mod rule;
mod webhook;

use object::field::ErrorList;
use serde_json::Value;

use super::field::At;
use super::{Context, Strategy};

/// Names that end so belong to objects from files.
const STATIC_SUFFIX: &str = ".static.k8s.io";

/// Whether requests are changed or only judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Mutating,
    Validating,
}

/// `MutatingWebhookConfiguration` and `ValidatingWebhookConfiguration`.
pub(super) struct Webhooks(pub(super) Phase);
/// `MutatingAdmissionPolicy` and `ValidatingAdmissionPolicy`.
pub(super) struct Policy(pub(super) Phase);
/// `MutatingAdmissionPolicyBinding` and `ValidatingAdmissionPolicyBinding`.
pub(super) struct Binding(pub(super) Phase);

impl Strategy for Webhooks {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        webhook::validate(&At::root(object), self.0, true)
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        webhook::validate(&At::root(object), self.0, webhook::conditions_differ(object, old))
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        static_name(object)
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

impl Strategy for Policy {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        policy::validate(&At::root(object), self.0, true)
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            return policy::validate_status(&At::root(object).at("status"));
        }
        let same = |field: &str| object["spec"][field] == old["spec"][field];
        policy::validate(&At::root(object), self.0, !(same("paramKind") && same("matchConditions")))
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        if cx.subresource == "status" { Vec::new() } else { static_name(object) }
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

impl Strategy for Binding {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        binding::validate(&At::root(object).at("spec"), self.0)
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        static_name(object)
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn static_name(object: &Value) -> Vec<String> {
    let reserved = object::meta::name(object).ends_with(STATIC_SUFFIX);
    let text = format!(
        "metadata.name: names ending with \"{STATIC_SUFFIX}\" are reserved for static manifest-based configurations and \
         cannot be managed via the API"
    );
    reserved.then_some(text).into_iter().collect()
}
