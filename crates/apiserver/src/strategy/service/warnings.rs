//! What whoever writes a Service should know although it is accepted.

use object::names;
use serde_json::Value;

use super::super::field::At;
use super::super::pod::warnings::address;
use super::{HEADLESS, kind};

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";

pub(super) fn of(object: &Value) -> Vec<String> {
    let (root, mut all) = (At::root(object), Vec::new());
    let spec = root.at("spec");
    if !root.at("metadata").at("annotations").value[HINTS].is_null() {
        let instead = "service.kubernetes.io/topology-mode";
        all.push(format!("annotation {HINTS} is deprecated, please use {instead} instead"));
    }
    let external = kind(spec.value) == "ExternalName";
    let headless = kind(spec.value) == "ClusterIP" && spec.at("clusterIP").text() == HEADLESS;
    if !matches!(spec.at("clusterIP").text(), "" | HEADLESS) {
        spec.at("clusterIPs").items().for_each(|ip| address(&ip, &mut all));
    }
    if headless {
        ignored_by_headless(&spec, &mut all);
    }
    spec.at("externalIPs").items().for_each(|ip| address(&ip, &mut all));
    let addressed = !spec.at("externalIPs").is_empty();
    if addressed && !headless && !external {
        all.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    if !spec.at("loadBalancerIP").is_empty() {
        address(&spec.at("loadBalancerIP"), &mut all);
    }
    for range in spec.at("loadBalancerSourceRanges").items() {
        all.extend(names::cidr_warnings(range.text()).iter().map(|warning| format!("{}: {warning}", range.path)));
    }
    if external && addressed {
        all.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !external && !spec.at("externalName").is_empty() {
        all.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.at("trafficDistribution").text() == "PreferClose" {
        all.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
    all
}

fn ignored_by_headless(spec: &At<'_>, all: &mut Vec<String>) {
    for (set, field) in [
        (!spec.at("loadBalancerIP").is_empty(), "loadBalancerIP"),
        (!spec.at("externalIPs").is_empty(), "externalIPs"),
        (spec.at("sessionAffinity").text() != HEADLESS, "SessionAffinity"),
    ] {
        if set {
            all.push(format!("spec.{field} is ignored for headless services"));
        }
    }
}

/// What `/status` is told about addresses.
pub(super) fn of_status(object: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for ingress in At::root(object).at("status").at("loadBalancer").at("ingress").items() {
        address(&ingress.at("ip").shown(ingress.path.clone()), &mut all);
    }
    all
}
