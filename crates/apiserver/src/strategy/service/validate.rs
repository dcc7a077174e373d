//! What a Service may be.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

use super::super::endpoints::reachable;
use super::super::field::{At, one_of, plain_cidr, plain_ip, port, port_or_name, texts, well_formed};
use super::super::{labels, structs};
use super::{HEADLESS, kind};

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const DISTRIBUTIONS: &[&str] = &["PreferClose", "PreferSameZone", "PreferSameNode"];
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const BALANCED_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";

/// The longest that clients may be bound to an endpoint, in seconds.
const MAX_AFFINITY: i64 = 86_400;

/// A Service as a whole; `old` is what it was before.
pub(super) fn service(object: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    topology(&object.at("metadata").at("annotations"), errors);
    let spec = object.at("spec");
    if spec.at("ports").is_empty() && !headless(spec.value) && kind(spec.value) != "ExternalName" {
        errors.push(spec.at("ports").required(""));
    }
    of_type(&spec, errors);
    ports(&spec, errors);
    labels::labels(&spec.at("selector"), errors);
    affinity(&spec, errors);
    let before = old.map_or(&Value::Null, |old| &old["spec"]);
    super::addresses::validate(&spec, before, errors);
    external_addresses(&spec.at("externalIPs"), before, errors);
    one_of(&spec.at("type"), TYPES, errors);
    repeated_ports(&spec, errors);
    source_ranges(object, old, errors);
    balancer(&spec, errors);
    super::traffic::external(&spec, errors);
    super::traffic::internal(&spec, errors);
    let distribution = spec.at("trafficDistribution");
    if distribution.is_set() && !DISTRIBUTIONS.contains(&distribution.text()) {
        errors.push(distribution.unsupported(DISTRIBUTIONS));
    }
}

/// Headless as validation sees it: no address, and nothing else in its place.
pub(super) fn headless(spec: &Value) -> bool {
    texts(&spec["clusterIPs"]) == [HEADLESS]
}

pub(super) fn status(object: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let list = object.at("status").at("loadBalancer").at("ingress");
    if kind(object.at("spec").value) != "LoadBalancer" && !list.is_empty() {
        errors.push(list.forbidden("may only be used when `spec.type` is 'LoadBalancer'"));
        return;
    }
    let before = old["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    let known: Vec<_> = before.filter_map(|ingress| ingress["ip"].as_str()).collect();
    list.items().for_each(|ingress| check_ingress(&ingress, &known, errors));
}

fn check_ingress(ingress: &At<'_>, known: &[&str], errors: &mut ErrorList) {
    let (ip, mode, name) = (ingress.at("ip"), ingress.at("ipMode"), ingress.at("hostname"));
    if !ip.is_empty() {
        plain_ip(&ip, known, errors);
    }
    match (mode.is_set(), ip.is_empty()) {
        (false, false) => errors.push(mode.required("must be specified when `ip` is set")),
        (true, true) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
        (true, false) if !matches!(mode.text(), "VIP" | "Proxy") => errors.push(mode.unsupported(&["Proxy", "VIP"])),
        _ => {}
    }
    if !name.is_empty() {
        well_formed(&name, names::dns1123_subdomain, errors);
        if names::parse_ip(name.text()).is_some() {
            errors.push(name.invalid("must be a DNS name, not an IP address"));
        }
    }
}

fn topology(annotations: &At<'_>, errors: &mut ErrorList) {
    let (hints, mode) = (&annotations.value[HINTS], &annotations.value[TOPOLOGY_MODE]);
    if !hints.is_null() && !mode.is_null() && hints != mode {
        let detail = format!("must match annotations[{HINTS}] when both are specified");
        errors.push(Error::invalid(&annotations.path.key(TOPOLOGY_MODE), mode.clone(), detail));
    }
}

fn of_type(spec: &At<'_>, errors: &mut ErrorList) {
    match kind(spec.value) {
        kind @ ("LoadBalancer" | "NodePort") if headless(spec.value) => {
            let path = spec.path.child("clusterIPs").index(0);
            errors.push(Error::invalid(&path, HEADLESS, format!("may not be set to 'None' for {kind} services")));
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !spec.at(field).is_empty() {
                    errors.push(spec.at(field).forbidden("may not be set for ExternalName services"));
                }
            }
            let name = spec.at("externalName");
            let text = name.text().strip_suffix('.').unwrap_or_else(|| name.text());
            if text.is_empty() {
                errors.push(name.required(""));
            } else {
                errors.extend_invalid(&name.path, text, names::dns1123_subdomain(text));
            }
        }
        _ => {}
    }
}

fn ports(spec: &At<'_>, errors: &mut ErrorList) {
    let several = spec.at("ports").items().count() > 1;
    let mut seen = BTreeSet::new();
    for entry in spec.at("ports").items() {
        let (name, protocol) = (entry.at("name"), entry.at("appProtocol"));
        if several && name.is_empty() {
            errors.push(name.required(""));
        } else if !name.is_empty() {
            well_formed(&name, names::dns1123_label, errors);
            if !seen.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
        port(&entry.at("port"), errors);
        one_of(&entry.at("protocol"), PROTOCOLS, errors);
        port_or_name(&entry.at("targetPort"), errors);
        if protocol.is_set() {
            well_formed(&protocol, names::qualified_name, errors);
        }
    }
}

/// A port of the Service, and a port of the nodes, is one for a protocol.
fn repeated_ports(spec: &At<'_>, errors: &mut ErrorList) {
    let (mut on_nodes, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let nodes = |entry: &At<'_>| entry.at("nodePort").number().filter(|number| *number != 0);
    for entry in spec.at("ports").items() {
        if kind(spec.value) == "ClusterIP" && nodes(&entry).is_some() {
            errors.push(entry.at("nodePort").forbidden("may not be used when `type` is 'ClusterIP'"));
        }
    }
    for entry in spec.at("ports").items() {
        if let Some(number) = nodes(&entry)
            && !on_nodes.insert((entry.at("protocol").text(), number))
        {
            errors.push(entry.at("nodePort").duplicate());
        }
    }
    for entry in spec.at("ports").items() {
        let (protocol, number) = (entry.at("protocol").text(), entry.at("port").number());
        if !numbers.insert((protocol, number)) {
            let key = structs::value("ServicePort", &json!({"protocol": protocol, "port": number}));
            errors.push(Error::duplicate(&entry.path, key));
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

fn external_addresses(list: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let known = texts(&before["externalIPs"]);
    for ip in list.items() {
        let count = errors.len();
        plain_ip(&ip, &known, errors);
        if errors.len() == count {
            reachable(&ip, errors);
        }
    }
}

/// Who may reach the load balancer: the field, or else the annotation that came before it.
fn source_ranges(object: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let (spec, annotations) = (object.at("spec"), object.at("metadata").at("annotations"));
    let balanced = kind(spec.value) == "LoadBalancer";
    let ranges = spec.at("loadBalancerSourceRanges").shown(spec.path.child("LoadBalancerSourceRanges"));
    if !ranges.is_empty() {
        if !balanced {
            errors.push(ranges.forbidden(BALANCED_ONLY));
        }
        let known = old.map_or(Vec::new(), |old| texts(&old["spec"]["loadBalancerSourceRanges"]));
        let known: Vec<_> = known.into_iter().map(str::trim).collect();
        for range in ranges.items() {
            let text = Value::from(range.text().trim());
            plain_cidr(&At { value: &text, path: range.path }, &known, errors);
        }
        return;
    }
    let Some(text) = annotations.value[SOURCE_RANGES].as_str() else { return };
    let path = annotations.path.key(SOURCE_RANGES);
    if !balanced {
        errors.push(Error::forbidden(&path, BALANCED_ONLY));
    }
    let same = old.is_some_and(|old| old["metadata"]["annotations"][SOURCE_RANGES] == text);
    for range in text.trim().split(',').map(str::trim).filter(|_| !same && !text.trim().is_empty()) {
        errors.extend_invalid(&path, range, names::strict_cidr(range));
    }
}

fn balancer(spec: &At<'_>, errors: &mut ErrorList) {
    let (allocate, class) = (spec.at("allocateLoadBalancerNodePorts"), spec.at("loadBalancerClass"));
    let balanced = kind(spec.value) == "LoadBalancer";
    if !balanced && allocate.is_set() {
        errors.push(allocate.forbidden(BALANCED_ONLY));
    }
    if balanced && !allocate.is_set() {
        errors.push(Error::required(&Path::new("allocateLoadBalancerNodePorts"), ""));
    }
    class_name(&class, balanced, errors);
}

fn class_name(class: &At<'_>, balanced: bool, errors: &mut ErrorList) {
    if class.is_set() && balanced {
        well_formed(class, names::qualified_name, errors);
    } else if class.is_set() {
        errors.push(class.forbidden(BALANCED_ONLY));
    }
}

/// What an update does to addresses, families and the class of the load balancer.
pub(super) fn update(object: &At<'_>, old: &Value, errors: &mut ErrorList) {
    super::addresses::changed(object, old, errors);
    let (class, before) = (object.at("spec").at("loadBalancerClass"), &old["spec"]);
    let balanced = kind(object.at("spec").value) == "LoadBalancer";
    if balanced && kind(before) == "LoadBalancer" && *class.value != before["loadBalancerClass"] {
        errors.push(class.invalid("may not change once set"));
    }
    class_name(&class, balanced, errors);
    let health = object.at("spec").at("healthCheckNodePort");
    let both = super::has_health_port(before) && super::has_health_port(object.at("spec").value);
    if both && health.number().unwrap_or_default() != before["healthCheckNodePort"].as_i64().unwrap_or_default() {
        errors.push(health.forbidden("field is immutable"));
    }
}
