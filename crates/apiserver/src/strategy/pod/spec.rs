//! A pod's spec, in pods and in the templates of everything that makes pods.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, one_of, optional_name, optional_one_of};
use super::super::labels;
use super::{container, resources, scheduling, security, volume};

const DNS_POLICIES: &[&str] = &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];

/// The longest deadline, in seconds.
const MAX_DEADLINE: i64 = i32::MAX as i64;

pub(in super::super) fn validate(spec: &At<'_>, errors: &mut ErrorList) {
    let volumes = volume::validate(&spec.at("volumes"), errors);
    container::validate(spec, &volumes, errors);
    one_of(&spec.at("restartPolicy"), &["Always", "Never", "OnFailure"], errors);
    one_of(&spec.at("dnsPolicy"), DNS_POLICIES, errors);
    labels::labels(&spec.at("nodeSelector"), errors);
    security::validate_pod(&spec.at("securityContext"), errors);
    scheduling::pull_secrets(&spec.at("imagePullSecrets"), errors);
    scheduling::affinity(&spec.at("affinity"), errors);
    scheduling::dns(spec, errors);
    scheduling::gates(spec, errors);
    scheduling::spread(&spec.at("topologySpreadConstraints"), errors);
    names_and_deadline(spec, errors);
    scheduling::tolerations(&spec.at("tolerations"), errors);
    scheduling::host_aliases(&spec.at("hostAliases"), errors);
    optional_name(&spec.at("priorityClassName"), names::dns1123_subdomain, errors);
    optional_name(&spec.at("runtimeClassName"), names::dns1123_subdomain, errors);
    optional_one_of(&spec.at("preemptionPolicy"), &["Never", "PreemptLowerPriority"], errors);
    for (name, amount) in spec.at("overhead").entries() {
        resources::quantity(&amount, name, errors);
    }
    resources::validate(&spec.at("resources"), errors);
    let os = spec.at("os");
    if os.is_set() {
        one_of(&os.at("name"), &["linux", "windows"], errors);
    }
    host_namespaces(spec, errors);
}

fn names_and_deadline(spec: &At<'_>, errors: &mut ErrorList) {
    for field in ["serviceAccountName", "nodeName"] {
        optional_name(&spec.at(field), names::dns1123_subdomain, errors);
    }
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.number().is_some_and(|deadline| !(1..=MAX_DEADLINE).contains(&deadline)) {
        errors.push(deadline.invalid(format!("must be between 1 and {MAX_DEADLINE}, inclusive")));
    }
    optional_name(&spec.at("hostname"), names::dns1123_label, errors);
    optional_name(&spec.at("subdomain"), names::dns1123_label, errors);
}

fn host_namespaces(spec: &At<'_>, errors: &mut ErrorList) {
    if spec.at("shareProcessNamespace").flag() && spec.at("hostPID").flag() {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(Error::invalid(&spec.path.child("shareProcessNamespace"), true, detail));
    }
    if spec.at("hostUsers").value.as_bool() == Some(false) {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            if spec.at(field).flag() {
                errors.push(spec.at(field).forbidden("when `pod.Spec.HostUsers` is false"));
            }
        }
    }
}
