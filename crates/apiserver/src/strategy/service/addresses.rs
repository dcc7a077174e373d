//! The addresses and address families of a Service.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::super::field::{At, plain_ip, texts};
use super::validate::headless;
use super::{HEADLESS, kind};

const FAMILIES: &[&str] = &["IPv4", "IPv6"];
const FAMILY_POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];

/// What is said of addresses and families fits together. `before` is the spec as it was.
pub(super) fn validate(spec: &At<'_>, before: &Value, errors: &mut ErrorList) {
    if kind(spec.value) == "ExternalName" {
        return;
    }
    first(spec, errors);
    families(spec, errors);
    let list = spec.at("clusterIPs");
    let count = errors.len();
    each(&list, before, errors);
    let sound = errors.len() == count;
    if list.items().count() > 2 {
        errors.push(list.invalid("may only hold up to 2 values"));
    }
    if sound {
        stacked(spec, errors);
    }
}

fn first(spec: &At<'_>, errors: &mut ErrorList) {
    let (single, list) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    match (single.text(), list.value[0].as_str()) {
        ("", None) => {}
        ("", Some(_)) => errors.push(list.invalid("must be empty when `clusterIP` is not specified")),
        (_, None) => errors.push(list.required("")),
        (single, Some(first)) if single != first => errors.push(list.invalid("first value must match `clusterIP`")),
        _ => {}
    }
}

fn families(spec: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for family in spec.at("ipFamilies").items() {
        if !FAMILIES.contains(&family.text()) {
            errors.push(family.unsupported(FAMILIES));
        }
        if !seen.insert(family.text()) {
            errors.push(family.duplicate());
        }
    }
    let policy = spec.at("ipFamilyPolicy");
    if policy.is_set() && !FAMILY_POLICIES.contains(&policy.text()) {
        errors.push(policy.unsupported(FAMILY_POLICIES));
    }
}

fn each(list: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let known = texts(&before["clusterIPs"]);
    for (index, address) in list.items().enumerate() {
        if index == 0 && address.text() == HEADLESS {
            if list.items().count() > 1 {
                errors.push(list.invalid("'None' must be the first and only value"));
            }
        } else {
            plain_ip(&address, &known, errors);
        }
    }
}

/// Two addresses are of two families, of those that are named.
fn stacked(spec: &At<'_>, errors: &mut ErrorList) {
    let (list, families) = (spec.at("clusterIPs"), texts(&spec.value["ipFamilies"]));
    let is_v6 = |text: &str| names::parse_ip(text).is_some_and(|ip| ip.is_ipv6());
    let addresses = texts(list.value);
    if addresses.len() > 1 && addresses.iter().all(|a| is_v6(a)) | addresses.iter().all(|a| !is_v6(a)) {
        errors.push(list.invalid("may specify no more than one IP for each IP family"));
    }
    if headless(spec.value) {
        return;
    }
    for (index, (address, family)) in list.items().zip(families).enumerate() {
        if FAMILIES.contains(&family) && (family == "IPv6") != is_v6(address.text()) {
            errors.push(address.invalid(format!("expected an {family} value as indicated by `ipFamilies[{index}]`")));
        }
    }
}

/// Addresses do not change while the Service has one; a second one may come and go.
pub(super) fn changed(object: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let (spec, before) = (object.at("spec"), &old["spec"]);
    if kind(spec.value) == "ExternalName" || kind(before) == "ExternalName" {
        return;
    }
    if !(headless(spec.value) && headless(before)) {
        kept(&spec, &spec.at("clusterIPs"), texts(&before["clusterIPs"]), "clusterIP", errors);
    }
    if !headless(spec.value) && !headless(before) {
        kept(&spec, &spec.at("ipFamilies"), texts(&before["ipFamilies"]), "ipFamily", errors);
    }
}

fn kept(spec: &At<'_>, list: &At<'_>, before: Vec<&str>, word: &str, errors: &mut ErrorList) {
    let now = texts(list.value);
    let (start, all) = (list.path.index(0), |at: &At<'_>| if at.is_set() { at.value.clone() } else { Value::Null });
    let once = "may not change once set";
    if now.len() == before.len() {
        for (index, _) in now.iter().zip(&before).enumerate().filter(|(_, (now, was))| now != was) {
            let path = if word == "clusterIP" { list.path.index(index) } else { start.clone() };
            errors.push(Error::invalid(&path, all(list), once));
        }
        return;
    }
    let addresses = spec.at("clusterIPs");
    let released = now.len() < before.len();
    if released && texts(addresses.value).is_empty() {
        errors.push(Error::invalid(&start, all(list), format!("primary {word} can not be unset")));
    }
    if let (Some(is), Some(was)) = (now.first(), before.first())
        && is != was
    {
        errors.push(Error::invalid(&start, all(&addresses), once));
    }
    let policy = spec.at("ipFamilyPolicy");
    if released && now.len() == 1 && policy.text() != "SingleStack" {
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {word}");
        errors.push(policy.invalid(detail));
    }
}
