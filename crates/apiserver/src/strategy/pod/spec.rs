//! A pod's spec, in pods and in the templates of everything that makes pods.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::super::field::{At, optional_name, well_formed};
use super::super::labels;
use super::super::rules::{self, Rule, Rules};
use super::options::{Options, has_users};
use super::{claims, container, dns, each_container, env, resources, scheduling, security, spread, volume, windows};

/// The longest deadline, in seconds.
const MAX_DEADLINE: i64 = i32::MAX as i64;

const POLICIES: Rules = &[
    ("restartPolicy", Rule::OneOf(&["Always", "OnFailure", "Never"])),
    ("dnsPolicy", Rule::OneOf(&["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"])),
    ("nodeSelector", Rule::Holds(labels::labels)),
];

const NAMES: Rules = &[
    ("serviceAccountName", Rule::OptionalName(names::dns1123_subdomain)),
    ("nodeName", Rule::OptionalName(names::dns1123_subdomain)),
    ("activeDeadlineSeconds", Rule::Range(1, MAX_DEADLINE)),
    ("hostname", Rule::OptionalName(names::dns1123_label)),
    ("subdomain", Rule::OptionalName(names::dns1123_label)),
];

/// The spec of a pod with this metadata; of a template without.
pub(in super::super) fn validate(spec: &At<'_>, metadata: Option<&Value>, options: &Options, errors: &mut ErrorList) {
    let volumes = volume::validate(&spec.at("volumes"), metadata, options, errors);
    claims::of_pod(&spec.at("resourceClaims"), metadata, errors);
    container::validate(spec, &volumes, options, errors);
    resources::of_pod(spec, options, errors);
    host_network_ports(spec, options, errors);
    rules::check(spec, POLICIES, errors);
    security::of_pod(spec, options, errors);
    scheduling::affinity(&spec.at("affinity"), options, errors);
    dns::validate(spec, errors);
    scheduling::gates(spec, errors);
    spread::validate(&spec.at("topologySpreadConstraints"), options, errors);
    windows::host_processes(spec, errors);
    users(spec, options, errors);
    hostname_override(spec, errors);
    rules::check(spec, NAMES, errors);
    scheduling::tolerations(&spec.at("tolerations"), options, errors);
    dns::host_aliases(&spec.at("hostAliases"), errors);
    optional_name(&spec.at("priorityClassName"), names::dns1123_subdomain, errors);
    if spec.at("runtimeClassName").is_set() {
        well_formed(&spec.at("runtimeClassName"), names::dns1123_subdomain, errors);
    }
    if spec.at("preemptionPolicy").is_set() {
        rules::check(spec, &[("preemptionPolicy", Rule::OneOf(&["PreemptLowerPriority", "Never"]))], errors);
    }
    resources::overhead(&spec.at("overhead"), options, errors);
    windows::system(spec, errors);
    env::files(spec, errors);
}

/// In the host's network a port of a container is a port of the host.
fn host_network_ports(spec: &At<'_>, options: &Options, errors: &mut ErrorList) {
    if !spec.at("hostNetwork").flag() {
        return;
    }
    for port in spec.at("containers").items().flat_map(|container| container.at("ports").items()) {
        let host = port.at("hostPort");
        let number = host.number().unwrap_or_default();
        if (options.is_pod || number != 0) && number != port.at("containerPort").number().unwrap_or_default() {
            errors.push(Error::invalid(&host.path, number, "must match `containerPort` when `hostNetwork` is true"));
        }
    }
}

/// What a pod with users of its own cannot share with the host.
fn users(spec: &At<'_>, options: &Options, errors: &mut ErrorList) {
    if !has_users(spec) {
        return;
    }
    let detail = "when `hostUsers` is false";
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.at(field).flag() && !(field == "hostNetwork" && options.user_host_network) {
            errors.push(Error::forbidden(&spec.path.child(shown), detail));
        }
    }
    let devices = each_container(spec).map(|container| container.at("volumeDevices"));
    for at in devices.filter(|at| !options.user_devices && !at.is_empty()) {
        errors.push(at.forbidden(detail));
    }
}

fn hostname_override(spec: &At<'_>, errors: &mut ErrorList) {
    let name = spec.at("hostnameOverride");
    if !name.is_set() {
        return;
    }
    for (field, detail) in [
        ("setHostnameAsFQDN", "may not be specified when setHostnameAsFQDN is true"),
        ("hostNetwork", "may not be specified when hostNetwork is true"),
    ] {
        if spec.at(field).flag() {
            errors.push(name.forbidden(detail));
        }
    }
    if name.text().len() > 64 {
        errors.push(Error::too_long(&name.path, 64));
    }
    well_formed(&name, names::dns1123_subdomain, errors);
}
