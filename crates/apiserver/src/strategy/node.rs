//! Nodes: the kubelet brings their status along, little else ever changes.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::{At, above_zero, plain_cidr, remove, well_formed};
use super::pod::scheduling::EFFECTS;
use super::resources::amount;
use super::rules::{self, Rule, Rules};
use super::{Context, Strategy, structs};

pub(super) struct Node;

/// The longest name of a feature.
const MAX_FEATURE: usize = 253;
const TAINTS: &str = "scheduler.alpha.kubernetes.io/taints";

impl Strategy for Node {
    fn keeps_status_on_create(&self) -> bool {
        true
    }

    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        take(object, "spec", "configSource");
        take(object, "status", "config");
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource != "status" && old["spec"]["configSource"].is_null() {
            take(object, "spec", "configSource");
        }
        if cx.subresource == "status" && old["status"]["config"].is_null() {
            take(object, "status", "config");
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        annotated_taints(&root, &mut errors);
        taints(&root, &mut errors);
        resources(&root.at("status"), &mut errors);
        let swap = root.at("status").at("nodeInfo").at("swap").at("capacity");
        above_zero(&swap.shown(Path::new("metadata.nodeSwapStatus.capacity")), &mut errors);
        features(&root.at("status").at("declaredFeatures"), &mut errors);
        pod_cidrs(&root.at("spec").at("podCIDRs"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource != "status" {
            errors = self.validate(cx, object);
        }
        annotated_taints(&root, &mut errors);
        resources(&root.at("status"), &mut errors);
        features(&root.at("status").at("declaredFeatures"), &mut errors);
        addresses(&root.at("status").at("addresses"), &mut errors);
        fixed(&root.at("spec"), &old["spec"], &mut errors);
        sources(&root, &mut errors);
        taints(&root, &mut errors);
        let id = root.at("spec").at("externalID");
        if id.text() != old["spec"]["externalID"].as_str().unwrap_or_default() {
            errors.push(id.forbidden("may not be updated"));
        }
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let (spec, mut all) = (At::root(object).at("spec"), Vec::new());
        if cx.subresource == "status" {
            return all;
        }
        if spec.at("configSource").is_set() {
            all.push("spec.configSource: the feature is removed".to_owned());
        }
        if !spec.at("externalID").is_empty() {
            all.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
        }
        for cidr in spec.at("podCIDRs").items() {
            all.extend(names::cidr_warnings(cidr.text()).iter().map(|warning| format!("{}: {warning}", cidr.path)));
        }
        all
    }
}

fn take(object: &mut Value, part: &str, field: &str) {
    if let Some(part) = object.get_mut(part) {
        remove(part, field);
    }
}

/// Taints as annotations had them before there was a field.
fn annotated_taints(node: &At<'_>, errors: &mut ErrorList) {
    let annotations = node.at("metadata").at("annotations");
    let Some(text) = annotations.value[TAINTS].as_str().filter(|text| !text.is_empty()) else { return };
    match serde_json::from_str::<Value>(text) {
        Ok(list) => check_taints(&At { value: &list, path: annotations.path.child(TAINTS) }, errors),
        Err(error) => errors.push(Error::invalid(&annotations.path, TAINTS, error.to_string())),
    }
}

/// Upstream says that they are metadata.
fn taints(node: &At<'_>, errors: &mut ErrorList) {
    check_taints(&node.at("spec").at("taints").shown(Path::new("metadata.taints")), errors);
}

fn check_taints(list: &At<'_>, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for taint in list.items() {
        let (key, value, effect) = (taint.at("key"), taint.at("value"), taint.at("effect"));
        well_formed(&key, names::qualified_name, errors);
        let wrong = names::label_value(value.text());
        if !wrong.is_empty() {
            errors.push(value.invalid(wrong.join(";")));
        }
        rules::check(&taint, &[("effect", Rule::OneOf(EFFECTS))], errors);
        let pair = (key.text(), effect.text());
        if seen.contains(&pair) {
            let mut error = Error::duplicate(&taint.path, structs::value("Taint", taint.value));
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
        seen.push(pair);
    }
}

fn resources(status: &At<'_>, errors: &mut ErrorList) {
    for list in ["capacity", "allocatable"] {
        let list = status.at(list);
        for (name, at) in list.entries() {
            amount(&at.shown(list.path.child(name)), name, errors);
        }
    }
}

/// The features that the kubelet says it has, sorted.
fn features(list: &At<'_>, errors: &mut ErrorList) {
    let all: Vec<_> = list.items().collect();
    for (index, feature) in all.iter().enumerate() {
        if let Err(why) = feature_name(feature.text()) {
            let quoted = object::field::quote(feature.text());
            errors.push(feature.invalid(format!("invalid feature name {quoted}: {why}")));
        }
        match all.get(index + 1) {
            Some(next) if next.text() == feature.text() => errors.push(next.duplicate()),
            Some(next) if next.text() < feature.text() => {
                errors.push(next.invalid("list must be sorted alphabetically"));
            }
            _ => {}
        }
    }
}

fn feature_name(name: &str) -> Result<(), String> {
    let word = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric());
    let starts = |part: &str, test: fn(&u8) -> bool| part.as_bytes().first().is_some_and(test);
    let mut parts = name.split('/');
    let first = parts.next().is_some_and(|part| word(part) && starts(part, u8::is_ascii_uppercase));
    if name.len() > MAX_FEATURE {
        return Err(format!("must be no more than {MAX_FEATURE} characters"));
    }
    if first && parts.all(|part| word(part) && starts(part, u8::is_ascii_alphabetic)) {
        return Ok(());
    }
    Err("must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes".to_owned())
}

fn pod_cidrs(list: &At<'_>, errors: &mut ErrorList) {
    list.items().for_each(|cidr| plain_cidr(&cidr, &[], errors));
    let parsed: Vec<_> = list.items().filter_map(|cidr| names::parse_cidr(cidr.text())).collect();
    let count = list.items().count();
    let both = parsed.iter().any(|(ip, _)| ip.is_ipv4()) && parsed.iter().any(|(ip, _)| ip.is_ipv6());
    if count > 1 && parsed.len() == count && (!both || count > 2) {
        errors.push(list.invalid("may specify no more than one CIDR for each IP family"));
    }
}

fn addresses(list: &At<'_>, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for address in list.items() {
        if seen.contains(&address.value) {
            errors.push(Error::duplicate(&address.path, structs::value("NodeAddress", address.value)));
        }
        seen.push(address.value);
    }
}

/// What is given once, and then stays.
fn fixed(spec: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let cidrs = spec.at("podCIDRs");
    if before["podCIDRs"].as_array().is_some_and(|list| !list.is_empty()) && *cidrs.value != before["podCIDRs"] {
        errors.push(cidrs.forbidden("node updates may not change podCIDR except from \"\" to valid"));
    }
    let provider = before["providerID"].as_str().unwrap_or_default();
    if !provider.is_empty() && spec.at("providerID").text() != provider {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.push(spec.at("providerID").forbidden(detail));
    }
}

const CONFIG_MAP: Rules = &[
    ("namespace", Rule::Name(names::dns1123_label)),
    ("name", Rule::Name(names::dns1123_subdomain)),
    ("kubeletConfigKey", Rule::Name(names::config_map_key)),
];

/// Where the kubelet's configuration was to come from; objects of long ago have it.
fn sources(node: &At<'_>, errors: &mut ErrorList) {
    let wanted = node.at("spec").at("configSource");
    source(&wanted, errors, |map, errors| {
        for field in ["uid", "resourceVersion"] {
            if !map.at(field).is_empty() {
                errors.push(map.at(field).forbidden(format!("{field} must not be set in spec")));
            }
        }
    });
    for field in ["assigned", "active", "lastKnownGood"] {
        source(&node.at("status").at("config").at(field), errors, |map, errors| {
            rules::check(map, &[("uid", Rule::Required), ("resourceVersion", Rule::Required)], errors);
        });
    }
}

fn source(at: &At<'_>, errors: &mut ErrorList, check: fn(&At<'_>, &mut ErrorList)) {
    let map = at.at("configMap");
    if map.is_set() {
        check(&map, errors);
        rules::check(&map, CONFIG_MAP, errors);
    } else if at.is_set() {
        let shown = structs::value("NodeConfigSource", at.value);
        errors.push(Error::invalid(&at.path, shown, "exactly one reference subfield must be non-nil"));
    }
}
