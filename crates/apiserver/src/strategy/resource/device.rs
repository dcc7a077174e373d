//! One device: its attributes, its capacity, its taints, and where it can be used.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{
    MAX_DRIVER, MAX_IDENTIFIER, binding_conditions, capacity, each, each_entry, each_once, qualified_name, taint,
};
use crate::strategy::field::{At, required, required_name, well_formed};
use crate::strategy::pod;

const MAX_ATTRIBUTES: usize = 32;
const MAX_ATTRIBUTE_VALUES: usize = 48;
/// In bytes.
const MAX_VALUE: usize = 64;
const MAX_TAINTS: usize = 16;
const MAX_CONSUMPTIONS: usize = 2;
const MAX_COUNTERS: usize = 32;
/// The longest key that messages show: `domain/identifier`.
const MAX_KEY: usize = MAX_DRIVER + 1 + MAX_IDENTIFIER;
const WHERE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
                     `perDeviceNodeSelection` is set to true in the ResourceSlice spec";

pub(super) fn device(at: &At<'_>, old: Option<&Value>, per_device: bool, errors: &mut ErrorList) {
    well_formed(&at.at("name"), names::dns1123_label, errors);
    let (attributes, capacities) = (at.at("attributes"), at.at("capacity"));
    let total = attributes.entries().count() + capacities.entries().count();
    if total > MAX_ATTRIBUTES {
        let detail = format!("the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}");
        errors.push(Error::invalid(&at.path, total, detail));
    }
    let values: usize = attributes.entries().map(|(_, attribute)| values_of(&attribute)).sum();
    if values > MAX_ATTRIBUTE_VALUES {
        let detail = format!("the total number of attribute values must not exceed {MAX_ATTRIBUTE_VALUES}");
        errors.push(Error::invalid(&at.path, values, detail));
    }
    each_entry(&attributes, None, MAX_KEY, qualified_name, attribute, errors);
    let shared = at.at("allowMultipleAllocations").flag();
    let check = if shared { capacity::shared } else { capacity::whole };
    each_entry(&capacities, None, MAX_KEY, qualified_name, check, errors);
    let taints = at.at("taints");
    if old.is_none_or(|old| &old["taints"] != taints.value) {
        each(&taints, MAX_TAINTS, |at, errors| taint::taint(at, None, errors), errors);
    }
    let by_set = |at: &At<'_>| at.value["counterSet"].clone();
    each_once(&at.at("consumesCounters"), MAX_CONSUMPTIONS, consumption, by_set, errors);
    if per_device {
        own_nodes(at, errors)
    } else {
        no_nodes(at, errors)
    }
    binding_conditions(at, errors);
}

/// How many values an attribute has: one, or those of its lists.
fn values_of(attribute: &At<'_>) -> usize {
    let lists = ["bools", "ints", "strings", "versions"].map(|list| attribute.at(list).count());
    lists.into_iter().sum::<usize>().max(1)
}

fn attribute(at: &At<'_>, errors: &mut ErrorList) {
    const KINDS: &[&str] = &["bool", "int", "string", "version", "bools", "ints", "strings", "versions"];
    let said = at.present(KINDS).count();
    if at.at("string").is_set() {
        text(&at.at("string"), errors);
    }
    if at.at("version").is_set() {
        version(&at.at("version"), errors);
    }
    for list in at.present(&["bools", "ints", "strings", "versions"]).map(|list| at.at(list)) {
        if list.is_empty() {
            errors.push(list.invalid("must not be empty if specified"));
        }
    }
    at.at("strings").items().for_each(|entry| text(&entry, errors));
    at.at("versions").items().for_each(|entry| version(&entry, errors));
    if said != 1 {
        let value = if said == 0 { "".into() } else { shown(at) };
        errors.push(Error::invalid(&at.path, value, "exactly one value must be specified"));
    }
}

/// An attribute as messages show it: its fields have other names there.
fn shown(at: &At<'_>) -> Value {
    const NAMES: &[(&str, &str)] = &[
        ("IntValue", "int"),
        ("BoolValue", "bool"),
        ("StringValue", "string"),
        ("VersionValue", "version"),
        ("IntValues", "ints"),
        ("BoolValues", "bools"),
        ("StringValues", "strings"),
        ("VersionValues", "versions"),
    ];
    NAMES
        .iter()
        .map(|(shown, field)| ((*shown).to_owned(), at.value[*field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn text(at: &At<'_>, errors: &mut ErrorList) {
    if at.text().len() > MAX_VALUE {
        errors.push(Error::too_long(&at.path, MAX_VALUE));
    }
}

fn version(at: &At<'_>, errors: &mut ErrorList) {
    if !is_semver(at.text()) {
        errors.push(at.invalid("must be a string compatible with semver.org spec 2.0.0"));
    }
    text(at, errors);
}

/// `1.2.3-pre.1+build`.
fn is_semver(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.into_iter().all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// A set of counters that devices draw from.
pub(super) fn counter_set(at: &At<'_>, errors: &mut ErrorList) {
    required_name(&at.at("name"), names::dns1123_label, errors);
    counters(&at.at("counters"), errors);
}

fn consumption(at: &At<'_>, errors: &mut ErrorList) {
    required_name(&at.at("counterSet"), names::dns1123_label, errors);
    counters(&at.at("counters"), errors);
}

fn counters(at: &At<'_>, errors: &mut ErrorList) {
    let name = |key: &str, at: &At<'_>, errors: &mut ErrorList| {
        errors.extend_invalid(&at.path, key, names::dns1123_label(key));
    };
    if required(at, errors) {
        each_entry(at, Some(MAX_COUNTERS), names::DNS1123_LABEL_MAX, name, |_, _| {}, errors);
    }
}

fn own_nodes(at: &At<'_>, errors: &mut ErrorList) {
    let mut said = Vec::new();
    let (name, selector, all) = (at.at("nodeName"), at.at("nodeSelector"), at.at("allNodes"));
    if name.is_set() && name.is_empty() {
        errors.push(name.invalid("must not be empty"));
    } else if name.is_set() {
        said.push("`nodeName`");
        well_formed(&name, names::dns1123_subdomain, errors);
    }
    if selector.is_set() {
        said.push("`nodeSelector`");
        pod::scheduling::node_selector(&selector, false, errors);
    }
    if all.flag() {
        said.push("`allNodes`");
    } else if all.is_set() {
        errors.push(all.invalid("must be either unset or set to true"));
    }
    match said.len() {
        0 => errors.push(at.required(WHERE)),
        1 => {}
        _ => errors.push(Error::invalid(&at.path, format!("{{{}}}", said.join(", ")), WHERE)),
    }
}

fn no_nodes(at: &At<'_>, errors: &mut ErrorList) {
    if at.present(&["nodeName", "nodeSelector", "allNodes"]).next().is_some() {
        let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
                      true in the ResourceSlice spec";
        errors.push(Error::invalid(&at.path, Value::Null, detail));
    }
}

#[cfg(test)]
mod tests {
    use super::is_semver;

    #[test]
    fn versions() {
        for good in ["0.0.0", "1.2.3", "1.2.3-a.1", "1.2.3-01a", "1.2.3+01", "1.2.3-a-b+c-d.e"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in ["", "1", "1.2", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.3+a_b", "v1.2.3", "1.2.3.4"] {
            assert!(!is_semver(bad), "{bad}");
        }
    }
}
