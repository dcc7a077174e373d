//! Services, namespaces, volumes, nodes and network policies.

use serde_json::{Value, json};

use super::{Object, below, each, entries, has, made, set, text};

pub(super) fn service(service: &mut Object) {
    let Some(spec) = made(service, "spec") else { return };
    let kind = match text(spec, "type") {
        "" => "ClusterIP".to_owned(),
        kind => kind.to_owned(),
    };
    affinity(spec);
    let external = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && spec.get("externalIPs").and_then(Value::as_array).is_some_and(|a| !a.is_empty()));
    if external && text(spec, "externalTrafficPolicy").is_empty() {
        spec.insert("externalTrafficPolicy".into(), "Cluster".into());
    }
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
        virtual_addresses(service);
    }
}

fn affinity(spec: &mut Object) {
    if text(spec, "sessionAffinity") != "ClientIP" {
        spec.shift_remove("sessionAffinityConfig");
        return;
    }
    let timeout =
        spec.get("sessionAffinityConfig").and_then(|c| c.get("clientIP")).and_then(|c| c.get("timeoutSeconds"));
    if timeout.is_none_or(Value::is_null) {
        spec.insert("sessionAffinityConfig".into(), json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
}

fn virtual_addresses(service: &mut Object) {
    let Some(balancer) = below(service, "status").and_then(|status| below(status, "loadBalancer")) else { return };
    for ingress in each(balancer, "ingress").filter(|ingress| !text(ingress, "ip").is_empty()) {
        set(ingress, "ipMode", "VIP");
    }
}

/// The target is the port itself.
pub(super) fn port(port: &mut Object) {
    let target = port.get("targetPort");
    if target.is_none_or(|t| t.is_null() || *t == 0 || t == "")
        && let Some(number) = port.get("port").cloned()
    {
        port.insert("targetPort".into(), number);
    }
}

/// A namespace carries its name as a label, so that selectors can name it.
pub(super) fn namespace(namespace: &mut Object) {
    let Some(metadata) = below(namespace, "metadata") else { return };
    let name = text(metadata, "name").to_owned();
    if !name.is_empty()
        && let Some(labels) = made(metadata, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

/// What volumes of their own get, not those inside of attachments.
pub(super) fn persistent_volume(volume: &mut Object) {
    let Some(spec) = made(volume, "spec") else { return };
    if text(spec, "persistentVolumeReclaimPolicy").is_empty() {
        spec.insert("persistentVolumeReclaimPolicy".into(), "Retain".into());
    }
    set(spec, "volumeMode", "Filesystem");
}

/// All capacity is allocatable unless the node says otherwise.
pub(super) fn node_status(status: &mut Object) {
    if let (false, Some(capacity)) = (has(status, "allocatable"), entries(status, "capacity").cloned()) {
        status.insert("allocatable".into(), capacity.into());
    }
}

/// A policy is about ingress, and about egress when it has rules for it.
pub(super) fn network_policy(spec: &mut Object) {
    if spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
        spec.insert("policyTypes".into(), if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    }
}
