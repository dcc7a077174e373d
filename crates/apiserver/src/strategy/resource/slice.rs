//! What a driver offers: a slice of a pool of devices.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{by_name, device, driver, each_once, pool_name, taint};
use crate::strategy::field::{At, immutable, well_formed};
use crate::strategy::{Context, Strategy, internal, pod};

const MAX_DEVICES: usize = 128;
/// Where devices have taints or draw from counters.
const MAX_ADVANCED_DEVICES: usize = 64;
const MAX_COUNTER_SETS: usize = 8;
/// Attributes that are lists: an alpha feature that is off.
const LISTS: &[&str] = &["bools", "ints", "strings", "versions"];
const WHERE: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";

pub(in crate::strategy) struct ResourceSlice;

impl Strategy for ResourceSlice {
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        prepare(cx, object, None);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        prepare(cx, object, Some(old));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), None, &mut errors);
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), Some(&old["spec"]), &mut errors);
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let driver = object["spec"]["driver"].as_str().unwrap_or_default();
        let shouts = driver != driver.to_lowercase();
        let text = format!("spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters");
        shouts.then_some(text).into_iter().collect()
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

/// Dates taints, and drops the fields of features that are off.
fn prepare(cx: &Context<'_>, object: &mut Value, old: Option<&Value>) {
    let uses = |fields: &dyn Fn(&Value) -> bool| {
        old.is_some_and(|old| old["spec"]["devices"].as_array().into_iter().flatten().any(fields))
    };
    let has_mapping = |device: &Value| !device["nodeAllocatableResourceMappings"].is_null();
    let has_lists = |device: &Value| attributes(device).any(|attribute| LISTS.iter().any(|f| !attribute[*f].is_null()));
    let (keep_mappings, keep_lists) = (uses(&has_mapping), uses(&has_lists));
    let devices = object.pointer_mut("/spec/devices").and_then(Value::as_array_mut);
    for fields in devices.into_iter().flatten().filter_map(Value::as_object_mut) {
        let taints = fields.get_mut("taints").and_then(Value::as_array_mut);
        taints.into_iter().flatten().for_each(|entry| taint::stamp(cx, entry));
        if !keep_mappings {
            fields.shift_remove("nodeAllocatableResourceMappings");
        }
        let attributes = fields.get_mut("attributes").and_then(Value::as_object_mut);
        for attribute in attributes.into_iter().flatten().filter_map(|(_, value)| value.as_object_mut()) {
            LISTS.iter().filter(|_| !keep_lists).for_each(|list| {
                attribute.shift_remove(*list);
            });
        }
    }
}

fn attributes(device: &Value) -> impl Iterator<Item = &Value> {
    device["attributes"].as_object().into_iter().flatten().map(|(_, attribute)| attribute)
}

fn spec(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    driver(&spec.at("driver"), errors);
    pool(&spec.at("pool"), errors);
    if let Some(old) = old {
        immutable(&spec.at("pool").at("name"), &old["pool"]["name"], errors);
        immutable(&spec.at("driver"), &old["driver"], errors);
        immutable(&spec.at("nodeName"), &old["nodeName"], errors);
    }
    nodes(spec, errors);
    let (counters, devices) = (spec.at("sharedCounters"), spec.at("devices"));
    if counters.is_set() && devices.is_set() {
        errors.push(Error::invalid(&spec.path, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let advanced = |device: At<'_>| {
        let lists = attributes(device.value).any(|attribute| LISTS.iter().any(|field| !attribute[*field].is_null()));
        lists || !device.at("taints").is_empty() || !device.at("consumesCounters").is_empty()
    };
    let max = if devices.items().any(advanced) { MAX_ADVANCED_DEVICES } else { MAX_DEVICES };
    let per_device = spec.at("perDeviceNodeSelection").flag();
    let old_device = |name: &str| {
        let devices = old.and_then(|old| old["devices"].as_array());
        devices.into_iter().flatten().find(|device| device["name"] == name)
    };
    let check = |at: &At<'_>, errors: &mut ErrorList| {
        device::device(at, old_device(at.at("name").text()), per_device, errors);
    };
    each_once(&devices, max, check, by_name, errors);
    each_once(&counters, MAX_COUNTER_SETS, device::counter_set, by_name, errors);
}

fn pool(at: &At<'_>, errors: &mut ErrorList) {
    pool_name(&at.at("name"), errors);
    let (count, generation) = (at.at("resourceSliceCount"), at.at("generation"));
    let number = |at: &At<'_>| at.number().unwrap_or_default();
    if number(&count) <= 0 {
        errors.push(Error::invalid(&count.path, number(&count), "must be greater than zero"));
    }
    if number(&generation) < 0 {
        errors.push(generation.invalid("must be greater than or equal to zero"));
    }
}

/// A slice says in one way which nodes can reach its devices.
fn nodes(spec: &At<'_>, errors: &mut ErrorList) {
    let mut said = Vec::new();
    let (name, selector) = (spec.at("nodeName"), spec.at("nodeSelector"));
    if name.is_set() && name.is_empty() {
        errors.push(name.invalid("must be either unset or set to a non-empty string"));
    } else if name.is_set() {
        said.push("`nodeName`");
        well_formed(&name, names::dns1123_subdomain, errors);
    }
    if selector.is_set() {
        said.push("`nodeSelector`");
        pod::scheduling::node_selector(&selector, false, errors);
        let terms = selector.at("nodeSelectorTerms");
        if terms.count() != 1 {
            let shown: Vec<Value> =
                terms.items().map(|term| internal::shown("core.v1.NodeSelectorTerm", term.value)).collect();
            let value = if terms.is_set() { Value::Array(shown) } else { Value::Null };
            errors.push(Error::invalid(&terms.path, value, "must have exactly one node selector term"));
        }
    }
    for (field, name) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        let flag = spec.at(field);
        if flag.flag() {
            said.push(name);
        } else if flag.is_set() {
            errors.push(flag.invalid("must be either unset or set to true"));
        }
    }
    match said.len() {
        0 => errors.push(spec.required(WHERE)),
        1 => {}
        _ => {
            let detail = format!("{WHERE}, but multiple fields are set");
            errors.push(Error::invalid(&spec.path, format!("{{{}}}", said.join(", ")), detail));
        }
    }
}
