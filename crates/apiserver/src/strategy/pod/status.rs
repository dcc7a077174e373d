//! What a pod's status may become.

use std::collections::{BTreeMap, BTreeSet};

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::super::field::{At, immutable, plain_ip, required, well_formed};
use super::super::rules::{self, Rule, Rules};
use super::restart::supported;

const KINDS: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];
const HEALTHS: &[&str] = &["Healthy", "Unhealthy", "Unknown"];
/// The longest message about a device, in bytes.
const MAX_MESSAGE: usize = 1 << 10;
const ID: Rule = Rule::Range(0, i32::MAX as i64);
const LINUX_USER: Rules = &[("uid", ID), ("gid", ID), ("supplementalGroups", Rule::Holds(groups))];

/// A write of `/status`: the spec is the old one.
pub(super) fn validate(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (status, before) = (At::root(object).at("status"), &old["status"]);
    conditions(&status.at("conditions"), errors);
    nomination(&status.at("nominatedNodeName"), old, errors);
    not_negative(&status.at("observedGeneration"), errors);
    immutable(&status.at("qosClass"), &before["qosClass"], errors);
    for (kind, containers) in KINDS {
        transitions(&status.at(kind), &before[kind], &old["spec"], containers, errors);
    }
    claims(&status.at("resourceClaimStatuses"), &old["spec"]["resourceClaims"], errors);
    extended_claim(&status.at("extendedResourceClaimStatus"), &old["spec"], errors);
    addresses(&status.at("podIPs"), before, errors);
    host_addresses(&status, before, errors);
    for (kind, _) in KINDS {
        users(&status.at(kind), &old["spec"]["os"]["name"], errors);
    }
    for (kind, containers) in KINDS {
        devices(&status.at(kind), &old["spec"][containers], containers, errors);
    }
}

fn not_negative(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|number| number < 0) {
        errors.push(at.invalid("must be a non-negative integer"));
    }
}

fn conditions(list: &At<'_>, errors: &mut ErrorList) {
    for condition in list.items() {
        not_negative(&condition.at("observedGeneration"), errors);
        let kind = condition.at("type").shown(condition.path.child("Type"));
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            well_formed(&kind, names::qualified_name, errors);
        }
    }
}

/// The node that a pod may get is of no interest once it has one.
fn nomination(at: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if at.is_empty() || *at.value == old["status"]["nominatedNodeName"] {
        return;
    }
    well_formed(at, names::dns1123_subdomain, errors);
    if !old["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        errors.push(at.forbidden("may not be set on pods that are already bound to a node"));
    }
}

/// Containers that have ended stay so, unless they may restart.
fn transitions(now: &At<'_>, before: &Value, spec: &Value, kind: &str, errors: &mut ErrorList) {
    if kind != "ephemeralContainers" && restarts_all(spec) {
        return;
    }
    for (index, was) in before.as_array().into_iter().flatten().enumerate() {
        let ended = &was["state"]["terminated"];
        let same = now.items().find(|other| other.value["name"] == was["name"]);
        let resumed = same.is_some_and(|other| other.value["state"]["terminated"].is_null());
        let may = || {
            let container = spec[kind].as_array().into_iter().flatten().find(|c| c["name"] == was["name"]);
            kind != "ephemeralContainers" && container.is_some_and(|container| may_restart(container, spec, ended))
        };
        if !ended.is_null() && resumed && !may() {
            let path = now.path.index(index).child("state");
            errors.push(Error::forbidden(&path, "may not be transitioned to non-terminated state"));
        }
    }
}

/// Whether some container's end may restart all of them.
fn restarts_all(spec: &Value) -> bool {
    let lists = ["initContainers", "containers"].iter().flat_map(|list| spec[*list].as_array().into_iter().flatten());
    lists
        .flat_map(|container| container["restartPolicyRules"].as_array().into_iter().flatten())
        .any(|rule| rule["action"] == "RestartAllContainers")
}

fn may_restart(container: &Value, spec: &Value, ended: &Value) -> bool {
    let code = &ended["exitCode"];
    for rule in container["restartPolicyRules"].as_array().into_iter().flatten() {
        let codes = &rule["exitCodes"];
        let listed = codes["values"].as_array().is_some_and(|values| values.contains(code));
        let matches = match codes["operator"].as_str() {
            Some("In") => listed,
            Some("NotIn") => !listed,
            _ => false,
        };
        if matches && rule["action"] == "Restart" {
            return true;
        }
    }
    match container["restartPolicy"].as_str().or_else(|| spec["restartPolicy"].as_str()) {
        Some("Always") => true,
        Some("OnFailure") => *code != 0,
        _ => false,
    }
}

fn claims(list: &At<'_>, claims: &Value, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for claim in list.items() {
        let (name, resource) = (claim.at("name"), claim.at("resourceClaimName"));
        if !claims.as_array().into_iter().flatten().any(|other| other["name"] == *name.value) {
            let detail = "must match the name of an entry in `spec.resourceClaims`";
            errors.push(Error::invalid(&name.path, name.text(), detail));
        }
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        if resource.is_set() {
            well_formed(&resource, names::dns1123_subdomain, errors);
        }
    }
}

fn extended_claim(at: &At<'_>, spec: &Value, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let mappings = at.at("requestMappings");
    if mappings.is_empty() {
        errors.push(mappings.required("at least one request mapping is required"));
    }
    let lists = ["initContainers", "containers"].iter().flat_map(|list| spec[*list].as_array().into_iter().flatten());
    let containers: BTreeMap<_, _> = lists.map(|c| (c["name"].as_str().unwrap_or_default(), c)).collect();
    let mut seen = BTreeSet::new();
    for mapping in mappings.items() {
        let [container, resource, request] = ["containerName", "resourceName", "requestName"].map(|f| mapping.at(f));
        match containers.get(container.text()) {
            Some(found) if found["resources"]["requests"][resource.text()].is_null() => {
                let detail = "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
                errors.push(resource.invalid(detail));
            }
            Some(_) => {}
            None => {
                let detail = "must match the name of an entry in spec.initContainers.name or spec.containers.name";
                errors.push(container.invalid(detail));
            }
        }
        well_formed(&request.shown(at.path.child("requestName")), names::dns1123_label, errors);
        if !seen.insert((container.text(), resource.text(), request.text())) {
            errors.extend([container, resource, request].iter().map(At::duplicate));
        }
    }
    let claim = at.at("resourceClaimName");
    if required(&claim, errors) {
        well_formed(&claim, names::dns1123_subdomain, errors);
    }
}

/// One address for each family. `kind` names the Go type of an entry.
fn one_each(list: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let count = list.items().count();
    if count < 2 {
        return;
    }
    let (mut four, mut six, mut odd) = (false, false, None);
    for (index, text) in list.items().map(|entry| entry.at("ip").text()).enumerate() {
        match names::parse_ip(text) {
            Some(ip) => (four, six) = (four || ip.is_ipv4(), six || ip.is_ipv6()),
            None => odd = odd.or_else(|| Some(format!("invalid IP[{index}]: {text}"))),
        }
    }
    if let Some(odd) = &odd {
        let error = Box::<dyn std::error::Error>::from(format!("failed to check for dual stack with error:{odd}"));
        errors.push(Error::internal(&list.path, &*error));
    }
    if !(four && six) || odd.is_some() || count > 2 {
        let shown: Vec<_> = list.items().map(|entry| super::super::structs::value(kind, entry.value)).collect();
        errors.push(Error::invalid(&list.path, shown, "may specify no more than one IP for each IP family"));
    }
}

fn plain_addresses(list: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let known: Vec<_> = before.as_array().into_iter().flatten().filter_map(|entry| entry["ip"].as_str()).collect();
    list.items().for_each(|entry| plain_ip(&entry.at("ip").shown(entry.path.clone()), &known, errors));
}

fn addresses(list: &At<'_>, before: &Value, errors: &mut ErrorList) {
    plain_addresses(list, &before["podIPs"], errors);
    one_each(list, "PodIP", errors);
}

fn host_addresses(status: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let list = status.at("hostIPs");
    if let Some(first) = list.items().next().filter(|first| first.at("ip").value != status.at("hostIP").value) {
        errors.push(first.at("ip").invalid("must be equal to `hostIP`"));
    }
    plain_addresses(&list, &before["hostIPs"], errors);
    one_each(&list, "HostIP", errors);
}

fn groups(list: &At<'_>, errors: &mut ErrorList) {
    list.items().for_each(|group| rules::check(&group, &[("", ID)], errors));
}

fn users(statuses: &At<'_>, system: &Value, errors: &mut ErrorList) {
    for user in statuses.items().map(|status| status.at("user").at("linux")).filter(At::is_set) {
        if system == "windows" {
            errors.push(user.forbidden("cannot be set for a windows pod"));
        } else {
            rules::check(&user, LINUX_USER, errors);
        }
    }
}

/// The health of devices that containers have.
fn devices(statuses: &At<'_>, containers: &Value, kind: &str, errors: &mut ErrorList) {
    for status in statuses.items() {
        let list = status.at("allocatedResourcesStatus");
        if kind == "ephemeralContainers" && !list.is_empty() {
            errors.push(list.forbidden("must not be specified in container status"));
        }
        if kind == "ephemeralContainers" {
            continue;
        }
        let container = containers.as_array().into_iter().flatten().find(|c| c["name"] == status.value["name"]);
        for resource in list.items() {
            container.into_iter().for_each(|container| known_device(&resource.at("name"), container, errors));
            health(&resource.at("resources"), errors);
        }
    }
}

fn known_device(name: &At<'_>, container: &Value, errors: &mut ErrorList) {
    let resources = &container["resources"];
    let (known, detail) = match name.text().strip_prefix("claim:") {
        Some(claim) => {
            let (claim, request) = claim.split_once('/').unwrap_or((claim, ""));
            let mut used = resources["claims"].as_array().into_iter().flatten();
            let same = |c: &Value| c["name"] == claim && c["request"].as_str().unwrap_or_default() == request;
            let detail = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
            (used.any(same), detail)
        }
        None => (!resources["requests"][name.text()].is_null(), "must match one of the container's resource requests"),
    };
    if !known {
        errors.push(name.invalid(detail));
    }
}

fn health(list: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for device in list.items() {
        let (id, message) = (device.at("resourceID"), device.at("message"));
        supported(&device.at("health"), HEALTHS, errors);
        if message.is_set() && message.is_empty() {
            errors.push(message.required("must be non-empty if specified"));
        } else if message.text().len() > MAX_MESSAGE {
            errors.push(Error::too_long(&message.path, MAX_MESSAGE));
        }
        if !seen.insert(id.text()) {
            errors.push(id.duplicate());
        }
    }
}

/// Keeps what a writer that knows nothing of generations leaves out.
pub(super) fn keep_generations(object: &mut Value, old: &Value) {
    let (Some(status), before) = (object.get_mut("status").filter(|s| s.is_object()), &old["status"]) else { return };
    let zero = |value: &Value| value.as_i64().unwrap_or_default() == 0;
    if zero(&status["observedGeneration"]) && !zero(&before["observedGeneration"]) {
        status["observedGeneration"] = before["observedGeneration"].clone();
    }
    let mut known: Vec<&Value> = before["conditions"].as_array().into_iter().flatten().collect();
    for condition in super::prepare::entries(status, "conditions") {
        let Some(position) = known.iter().position(|other| other["type"] == condition["type"]) else { continue };
        let was = known.remove(position);
        if zero(&condition["observedGeneration"]) && !zero(&was["observedGeneration"]) {
            condition["observedGeneration"] = was["observedGeneration"].clone();
        }
    }
}
