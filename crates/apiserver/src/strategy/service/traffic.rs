//! Where the traffic of a Service may go.

use object::field::ErrorList;

use super::super::field::{At, one_of, port};
use super::kind;

const POLICIES: &[&str] = &["Cluster", "Local"];

pub(super) fn external(spec: &At<'_>, errors: &mut ErrorList) {
    let (policy, health) = (spec.at("externalTrafficPolicy"), spec.at("healthCheckNodePort"));
    let exposed = match kind(spec.value) {
        "LoadBalancer" | "NodePort" => true,
        kind => kind == "ClusterIP" && !spec.at("externalIPs").is_empty(),
    };
    if exposed {
        one_of(&policy, POLICIES, errors);
    } else if !policy.is_empty() {
        errors.push(policy.invalid("may only be set for externally-accessible services"));
    }
    let number = health.number().unwrap_or_default();
    match (super::has_health_port(spec.value), number) {
        (false, 0) => {}
        (false, _) => {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(health.invalid(detail));
        }
        (true, 0) => errors.push(health.required("")),
        (true, _) => port(&health, errors),
    }
}

pub(super) fn internal(spec: &At<'_>, errors: &mut ErrorList) {
    let policy = spec.at("internalTrafficPolicy");
    if policy.is_set() {
        if !POLICIES.contains(&policy.text()) {
            errors.push(policy.unsupported(POLICIES));
        }
    } else if matches!(kind(spec.value), "NodePort" | "LoadBalancer" | "ClusterIP") {
        errors.push(policy.required(""));
    }
}
