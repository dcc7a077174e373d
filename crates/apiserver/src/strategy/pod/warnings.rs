//! What whoever writes a pod or a template should know although it is accepted.

use std::collections::{BTreeMap, BTreeSet};

use object::field::{Path, quote};
use object::names;
use serde_json::Value;

use super::super::field::At;
use super::annotations::{APPARMOR, SECCOMP_CONTAINER, SECCOMP_POD, apparmor_field};
use super::{each_container, overlap};

const DEPRECATED_ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

const DEPRECATED_LABELS: &[(&str, &str)] = &[
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
];

/// Volumes whose drivers are gone: field, how it is shown, since when.
pub(in super::super) const DEPRECATED_VOLUMES: &[(&str, &str, &str)] = &[
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("ephemeral", "", ""),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

/// The warnings about a pod or a template, which is at `metadata` and `spec`.
pub(in super::super) fn of(metadata: &At<'_>, spec: &At<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    node_labels(spec, &mut warnings);
    spread(spec, &mut warnings);
    let annotations = metadata.at("annotations");
    for (key, message) in DEPRECATED_ANNOTATIONS.iter().filter(|(key, _)| !annotations.value[*key].is_null()) {
        warnings.push(format!("{}: {message}", annotations.path.key(key)));
    }
    volumes(spec, &mut warnings);
    warnings.extend(overlap::warnings(&spec.at("volumes")));
    repeated(&spec.at("hostAliases"), "ip", &mut warnings);
    repeated(&spec.at("imagePullSecrets"), "name", &mut warnings);
    unnamed_secrets(spec, &mut warnings);
    fractions(&spec.at("overhead"), &mut warnings);
    profiles(&annotations, spec, &mut warnings);
    ports(spec, &mut warnings);
    port_names(spec, &mut warnings);
    if spec.at("terminationGracePeriodSeconds").number().is_some_and(|grace| grace < 0) {
        let path = spec.path.child("terminationGracePeriodSeconds");
        warnings.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        affinity(&spec.at("affinity").at(kind), &mut warnings);
    }
    let servers = spec.at("dnsConfig").at("nameservers").items();
    servers
        .chain(spec.at("hostAliases").items().map(|alias| alias.at("ip")))
        .for_each(|at| address(&at, &mut warnings));
    warnings
}

/// Adds what there is to say about how an address is written.
pub(in super::super) fn address(at: &At<'_>, warnings: &mut Vec<String>) {
    warnings.extend(names::ip_warning(at.text()).map(|warning| format!("{}: {warning}", at.path)));
}

fn deprecated(label: &str) -> Option<&'static str> {
    DEPRECATED_LABELS.iter().find(|(name, _)| *name == label).map(|(_, message)| *message)
}

fn node_labels(spec: &At<'_>, warnings: &mut Vec<String>) {
    for (key, label) in spec.at("nodeSelector").entries() {
        warnings.extend(deprecated(key).map(|message| format!("{}: {message}", label.path)));
    }
    let nodes = spec.at("affinity").at("nodeAffinity");
    for term in nodes.at(REQUIRED).at("nodeSelectorTerms").items() {
        node_term(&term, false, warnings);
    }
    for term in nodes.at(PREFERRED).items() {
        node_term(&term.at("preference"), true, warnings);
    }
}

/// A term that selects nodes. Values that no label has are refused elsewhere, except where they only express a wish.
pub(in super::super) fn node_term(term: &At<'_>, values: bool, warnings: &mut Vec<String>) {
    for expression in term.at("matchExpressions").items() {
        let key = expression.at("key");
        warnings.extend(deprecated(key.text()).map(|message| format!("{}: {} is {message}", key.path, key.text())));
        for value in expression.at("values").items().filter(|_| values) {
            let wrong = names::label_value(value.text());
            warnings
                .extend(wrong.iter().map(|message| format!("{}: {} is invalid, {message}", value.path, value.text())));
        }
    }
}

fn spread(spec: &At<'_>, warnings: &mut Vec<String>) {
    for constraint in spec.at("topologySpreadConstraints").items() {
        let (key, selector) = (constraint.at("topologyKey"), constraint.at("labelSelector"));
        warnings.extend(deprecated(key.text()).map(|message| format!("{}: {} is {message}", key.path, key.text())));
        if !selector.is_set() {
            warnings.push(format!("{}: {NO_SELECTOR}", selector.path));
        }
    }
}

fn volumes(spec: &At<'_>, warnings: &mut Vec<String>) {
    for volume in spec.at("volumes").items() {
        for (field, shown, message) in DEPRECATED_VOLUMES.iter().filter(|(field, ..)| volume.at(field).is_set()) {
            if *field == "ephemeral" {
                let claim = volume.at(field).at("volumeClaimTemplate").at("spec");
                super::super::claim::warnings(&claim, warnings);
            } else {
                warnings.push(format!("{}: {message}", volume.path.child(shown)));
            }
        }
    }
}

fn repeated(list: &At<'_>, field: &str, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for at in list.items().map(|entry| entry.at(field)) {
        if !seen.insert(at.text()) {
            warnings.push(format!("{}: duplicate {field} {}", at.path, quote(at.text())));
        }
    }
}

fn unnamed_secrets(spec: &At<'_>, warnings: &mut Vec<String>) {
    let names = spec.at("imagePullSecrets").items().map(|secret| secret.at("name"));
    warnings.extend(names.filter(At::is_empty).map(|name| format!("{}: invalid empty name \"\"", name.path)));
}

/// Bytes come as wholes.
fn fractions(list: &At<'_>, warnings: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        let amount = list.at(name).shown(list.path.key(name));
        if let Some(quantity) = amount.quantity().filter(|quantity| quantity.milli_value() % 1000 != 0) {
            let quantity = quote(&quantity.to_string());
            warnings.push(format!("{}: fractional byte value {quantity} is invalid, must be an integer", amount.path));
        }
    }
}

/// Annotations that do nothing any more, amounts and variables of the containers.
fn profiles(annotations: &At<'_>, spec: &At<'_>, warnings: &mut Vec<String>) {
    let context = spec.at("securityContext");
    let unused = |key: &str, profile: &At<'_>| !profile.is_set() && !annotations.value[key].is_null();
    let seccomp = |key: &str| {
        format!("{}: non-functional in v1.27+; use the \"seccompProfile\" field instead", annotations.path.key(key))
    };
    if unused(SECCOMP_POD, &context.at("seccompProfile")) {
        warnings.push(seccomp(SECCOMP_POD));
    }
    for container in each_container(spec) {
        let (name, own) = (container.at("name").text(), container.at("securityContext"));
        let key = format!("{SECCOMP_CONTAINER}{name}");
        if unused(&key, &own.at("seccompProfile")) {
            warnings.push(seccomp(&key));
        }
        apparmor(annotations, &context.at("appArmorProfile"), &own.at("appArmorProfile"), name, warnings);
        amounts(&container.at("resources"), warnings);
        variables(&container, warnings);
    }
}

/// Of a template; about pods the server speaks when it makes the annotation a field.
fn apparmor(annotations: &At<'_>, whole: &At<'_>, own: &At<'_>, name: &str, warnings: &mut Vec<String>) {
    let key = format!("{APPARMOR}{name}");
    let Some(annotation) = annotations.value[&key].as_str() else { return };
    let is_template = !annotations.path.as_str().starts_with("metadata");
    let same = whole.is_set() && apparmor_field(annotation).as_ref() == Some(whole.value);
    if is_template && !own.is_set() && !same {
        let hint = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
        warnings.push(format!("{}: {hint}", annotations.path.key(&key)));
    }
}

fn amounts(resources: &At<'_>, warnings: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        for list in ["limits", "requests"] {
            let list = resources.at(list);
            let amount = list.at(name).shown(list.path.key(name));
            if let Some(quantity) = amount.quantity().filter(|quantity| quantity.milli_value() % 1000 != 0) {
                let shown = quote(&quantity.to_string());
                warnings.push(format!("{}: fractional byte value {shown} is invalid, must be an integer", amount.path));
            }
        }
    }
}

/// A variable may be given twice where the later one builds on the earlier one.
fn variables(container: &At<'_>, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for variable in container.at("env").items() {
        let (name, value) = (variable.at("name").text(), variable.at("value").text());
        let reference = format!("$({name})");
        let builds = value.contains(&reference) && value != reference && !variable.at("valueFrom").is_set();
        if !seen.insert(name) && !builds {
            let what = format!("hides previous definition of {}, which may be dropped when using apply", quote(name));
            warnings.push(format!("{}: {what}", variable.path));
        }
    }
}

fn ports(spec: &At<'_>, warnings: &mut Vec<String>) {
    let mut all: BTreeMap<String, Vec<At<'_>>> = BTreeMap::new();
    for port in each_container(spec).flat_map(|container| container.at("ports").items()) {
        let host =
            |port: &At<'_>| (port.at("hostPort").number().unwrap_or_default(), port.at("hostIP").text().to_owned());
        let (host_port, host_ip) = host(&port);
        if !host_ip.is_empty() && host_port == 0 {
            warnings.push(format!("{}: hostIP set without hostPort: {}", port.path, shown_port(&port)));
        }
        let key = format!("{}/{}", port.at("containerPort").number().unwrap_or_default(), port.at("protocol").text());
        let others = all.entry(key).or_default();
        for other in others.iter() {
            let (other_port, other_ip) = host(other);
            let what = if (host_port, &host_ip) == (other_port, &other_ip) {
                "duplicate"
            } else if host_port == 0 || other_port == 0 {
                "overlapping"
            } else if host_port == other_port && host_ip.is_empty() != other_ip.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.push(format!("{}: {what} port definition with {}", port.path, other.path));
        }
        others.push(port);
    }
}

/// A port as Go prints it.
fn shown_port(port: &At<'_>) -> String {
    let number = |field: &str| port.at(field).number().unwrap_or_default();
    let text = |field: &str| port.at(field).text();
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text("name"),
        number("hostPort"),
        number("containerPort"),
        text("protocol"),
        text("hostIP")
    )
}

fn port_names(spec: &At<'_>, warnings: &mut Vec<String>) {
    let mut seen: BTreeMap<&str, Path> = BTreeMap::new();
    for port in each_container(spec).flat_map(|container| container.at("ports").items()) {
        let name = port.at("name").text();
        match seen.get(name) {
            _ if name.is_empty() => {}
            Some(other) => warnings.push(format!(
                "{}: duplicate port name {} with {other}, services and probes that select ports by name will use {other}",
                port.path,
                quote(name)
            )),
            None => drop(seen.insert(name, port.path.clone())),
        }
    }
}

fn affinity(at: &At<'_>, warnings: &mut Vec<String>) {
    let wished = at.at(PREFERRED).items().map(|term| term.at("podAffinityTerm"));
    for term in at.at(REQUIRED).items().chain(wished) {
        let selector = term.at("labelSelector");
        if !selector.is_set() {
            warnings.push(format!("{}: {NO_SELECTOR}", selector.path));
        }
    }
}

/// What `/status` is told about addresses.
pub(super) fn of_status(status: &Value) -> Vec<String> {
    let status = At { value: status, path: Path::new("status") };
    let mut warnings = Vec::new();
    for list in ["podIPs", "hostIPs"] {
        status.at(list).items().for_each(|entry| address(&entry.at("ip"), &mut warnings));
    }
    warnings
}
