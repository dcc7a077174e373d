//! What a Service may be.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Value, json};

use super::super::field::{At, one_of, optional_one_of, port, port_or_name, required, required_name, well_formed};
use super::super::labels;
use super::{HEADLESS, has_address, is_headless, kind};

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// The longest that clients may be bound to an endpoint, in seconds.
const MAX_AFFINITY: i64 = 86_400;

pub(super) fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    if spec.at("ports").is_empty() && has_address(spec.value) {
        errors.push(spec.at("ports").required(""));
    }
    of_type(spec, errors);
    ports(spec, errors);
    labels::labels(&spec.at("selector"), errors);
    affinity(spec, errors);
    addresses(spec, errors);
    for address in spec.at("externalIPs").items() {
        well_formed(&address, names::ip, errors);
    }
    one_of(&spec.at("type"), TYPES, errors);
    traffic(spec, errors);
    balancer(spec, errors);
}

/// Addresses do not change while the Service has one.
pub(super) fn changed_addresses(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (now, before) = (&object["spec"], &old["spec"]);
    if kind(now) == "ExternalName" || kind(before) == "ExternalName" {
        return;
    }
    let addresses = |spec: &Value| spec["clusterIPs"].as_array().cloned().unwrap_or_default();
    let (list, known) = (addresses(now), addresses(before));
    let changed = list.first() != known.first() || (known.len() > 1 && list.len() > 1 && list[1] != known[1]);
    if changed && !known.is_empty() {
        let at = At::root(object).at("spec").at("clusterIPs");
        let index = usize::from(list.first() == known.first());
        errors.push(Error::invalid(&at.path.index(index), list, "may not change once set"));
    }
}

pub(super) fn status(status: &At<'_>, errors: &mut ErrorList) {
    for ingress in status.at("loadBalancer").at("ingress").items() {
        let (ip, name) = (ingress.at("ip"), ingress.at("hostname"));
        if !ip.is_empty() {
            well_formed(&ip, names::ip, errors);
        }
        if !name.is_empty() {
            well_formed(&name, names::dns1123_subdomain, errors);
            if names::parse_ip(name.text()).is_some() {
                errors.push(name.invalid("must be a DNS name, not an IP address"));
            }
        }
    }
}

fn of_type(spec: &At<'_>, errors: &mut ErrorList) {
    match kind(spec.value) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec.value) => {
            let path = spec.path.child("clusterIPs").index(0);
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(Error::invalid(&path, HEADLESS, detail));
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !spec.at(field).is_empty() {
                    errors.push(spec.at(field).forbidden("may not be set when type is 'ExternalName'"));
                }
            }
            let name = spec.at("externalName");
            if required(&name, errors) {
                let text = name.text().trim_end_matches('.');
                errors.extend_invalid(&name.path, name.text(), names::dns1123_subdomain(text));
            }
        }
        _ => {}
    }
}

fn ports(spec: &At<'_>, errors: &mut ErrorList) {
    let several = spec.at("ports").items().count() > 1;
    let (mut seen, mut numbers, mut on_nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in spec.at("ports").items() {
        let (name, protocol) = (entry.at("name"), entry.at("protocol"));
        if several {
            required_name(&name, names::dns1123_label, errors);
        } else if !name.is_empty() {
            well_formed(&name, names::dns1123_label, errors);
        }
        if !name.is_empty() && !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        port(&entry.at("port"), errors);
        one_of(&protocol, PROTOCOLS, errors);
        if entry.at("targetPort").is_set() {
            port_or_name(&entry.at("targetPort"), errors);
        }
        let number = entry.at("port").number();
        if !numbers.insert((protocol.text(), number)) {
            errors.push(Error::duplicate(&entry.path, json!({"protocol": protocol.text(), "port": number})));
        }
        let node = entry.at("nodePort");
        let Some(on_node) = node.number().filter(|number| *number != 0) else { continue };
        if kind(spec.value) == "ClusterIP" || kind(spec.value) == "ExternalName" {
            errors.push(node.forbidden(format!("may not be used when `type` is '{}'", kind(spec.value))));
        }
        if !on_nodes.insert((protocol.text(), on_node)) {
            errors.push(node.duplicate());
        }
    }
}

fn affinity(spec: &At<'_>, errors: &mut ErrorList) {
    let (mode, config) = (spec.at("sessionAffinity"), spec.at("sessionAffinityConfig"));
    one_of(&mode, &["ClientIP", HEADLESS], errors);
    match mode.text() {
        "ClientIP" => {
            let seconds = config.at("clientIP").at("timeoutSeconds");
            if seconds.number().is_some_and(|seconds| !(1..=MAX_AFFINITY).contains(&seconds)) {
                errors.push(seconds.invalid(format!("must be greater than 0 and less than {MAX_AFFINITY}")));
            }
        }
        HEADLESS if config.is_set() => {
            errors.push(config.forbidden("must not be set when session affinity is None"));
        }
        _ => {}
    }
}

fn addresses(spec: &At<'_>, errors: &mut ErrorList) {
    let (single, list) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    let first = list.value[0].as_str().unwrap_or_default();
    if single.text() != first {
        errors.push(single.invalid("must match spec.clusterIPs[0]"));
    }
    let count = list.items().count();
    if count > 2 {
        errors.push(list.invalid("may only hold up to 2 values"));
    }
    for (index, address) in list.items().enumerate() {
        if address.text() == HEADLESS && (index > 0 || count == 1) {
            if index > 0 {
                errors.push(address.invalid("None must be the first and only value"));
            }
            continue;
        }
        well_formed(&address, names::ip, errors);
    }
    for family in spec.at("ipFamilies").items() {
        one_of(&family, &["IPv4", "IPv6"], errors);
    }
    let policies = &["PreferDualStack", "RequireDualStack", "SingleStack"];
    optional_one_of(&spec.at("ipFamilyPolicy"), policies, errors);
}

fn traffic(spec: &At<'_>, errors: &mut ErrorList) {
    let (external, internal) = (spec.at("externalTrafficPolicy"), spec.at("internalTrafficPolicy"));
    let exposed = matches!(kind(spec.value), "LoadBalancer" | "NodePort")
        || (kind(spec.value) == "ClusterIP" && !spec.at("externalIPs").is_empty());
    if exposed {
        optional_one_of(&external, &["Cluster", "Local"], errors);
    } else if !external.is_empty() {
        errors.push(external.invalid("may only be set for externally-accessible services"));
    }
    optional_one_of(&internal, &["Cluster", "Local"], errors);
    let health = spec.at("healthCheckNodePort");
    if health.number().is_some_and(|port| port != 0) && !super::has_health_port(spec.value) {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(health.invalid(detail));
    }
}

fn balancer(spec: &At<'_>, errors: &mut ErrorList) {
    let ranges = spec.at("loadBalancerSourceRanges");
    for range in ranges.items() {
        well_formed(&range, |text| names::cidr(text.trim()), errors);
    }
    if kind(spec.value) == "LoadBalancer" {
        return;
    }
    for field in ["loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if spec.at(field).is_set() && !spec.at(field).is_empty() {
            errors.push(spec.at(field).forbidden("may only be used when `type` is 'LoadBalancer'"));
        }
    }
}
