//! What an update keeps of what was allocated, and what goes with a change of type.

use serde_json::{Value, json};

use super::super::field::{object_at, remove};
use super::{has_address, has_health_port, has_node_ports, kind};

/// `clusterIP` and the first of `clusterIPs` say the same; whichever the caller left or changed follows the other.
pub(super) fn align_addresses(object: &mut Value, old: Option<&Value>) {
    let single = object["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
    let several = object["spec"]["clusterIPs"].as_array().is_some_and(|list| !list.is_empty());
    let spec = object_at(object, "spec");
    let Some(old) = old else {
        if !single.is_empty() && !several {
            spec.insert("clusterIPs".to_owned(), json!([single]));
        }
        return;
    };
    let before = old["spec"]["clusterIP"].as_str().unwrap_or_default();
    let same_list = spec.get("clusterIPs") == old["spec"].get("clusterIPs");
    if single.is_empty() && !before.is_empty() && same_list {
        spec.shift_remove("clusterIPs");
    } else if !single.is_empty() && single != before && (same_list || !several) {
        spec.insert("clusterIPs".to_owned(), json!([single]));
    }
}

/// Fields that the new type does not have go, unless the caller has set them for it.
pub(super) fn drop_type_dependent(object: &mut Value, old: &Value) {
    let before = &old["spec"];
    let unchanged = |object: &Value, field: &str| object["spec"][field] == before[field];
    let loses = |object: &Value, has: fn(&Value) -> bool| has(before) && !has(&object["spec"]);
    if kind(before) != "ExternalName" && kind(&object["spec"]) == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if unchanged(object, field) {
                remove(&mut object["spec"], field);
            }
        }
    }
    if loses(object, has_node_ports) && node_ports(&object["spec"]) == node_ports(before) {
        for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
            remove(port, "nodePort");
        }
    }
    if loses(object, has_health_port) && unchanged(object, "healthCheckNodePort") {
        remove(&mut object["spec"], "healthCheckNodePort");
    }
    let balanced = |spec: &Value| kind(spec) == "LoadBalancer";
    if loses(object, balanced) {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if unchanged(object, field) {
                remove(&mut object["spec"], field);
            }
        }
    }
    let exposed = |spec: &Value| matches!(kind(spec), "LoadBalancer" | "NodePort");
    if loses(object, exposed) && unchanged(object, "externalTrafficPolicy") {
        remove(&mut object["spec"], "externalTrafficPolicy");
    }
}

/// Callers that do not know what was allocated leave it as it is.
pub(super) fn keep_allocated(object: &mut Value, old: &Value) {
    let before = &old["spec"];
    if kind(before) != "ExternalName" && kind(&object["spec"]) != "ExternalName" {
        if is_blank(&object["spec"]["clusterIP"]) && is_blank(&object["spec"]["clusterIPs"]) {
            copy(object, before, &["clusterIP", "clusterIPs"]);
        }
        if is_blank(&object["spec"]["ipFamilies"]) && has_address(&object["spec"]) == has_address(before) {
            copy(object, before, &["ipFamilies"]);
        }
        if is_blank(&object["spec"]["ipFamilyPolicy"]) {
            copy(object, before, &["ipFamilyPolicy"]);
        }
    }
    if has_node_ports(before) && has_node_ports(&object["spec"]) {
        keep_node_ports(object, before);
    }
    if has_health_port(before) && has_health_port(&object["spec"]) && is_blank(&object["spec"]["healthCheckNodePort"]) {
        copy(object, before, &["healthCheckNodePort"]);
    }
}

fn keep_node_ports(object: &mut Value, before: &Value) {
    let same = |a: &Value, b: &Value| a["port"] == b["port"] && a["protocol"] == b["protocol"];
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        if !is_blank(&port["nodePort"]) {
            continue;
        }
        let known = before["ports"].as_array().into_iter().flatten().find(|other| same(other, port));
        if let Some(number) = known.map(|known| known["nodePort"].clone()).filter(|number| !is_blank(number)) {
            port["nodePort"] = number;
        }
    }
}

fn copy(object: &mut Value, before: &Value, fields: &[&str]) {
    let spec = object_at(object, "spec");
    for field in fields {
        if !before[*field].is_null() {
            spec.insert((*field).to_owned(), before[*field].clone());
        }
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    }
}

fn node_ports(spec: &Value) -> Vec<&Value> {
    spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]).collect()
}
