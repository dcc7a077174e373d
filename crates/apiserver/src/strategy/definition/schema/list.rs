//! How lists and maps of custom resources are merged.

use std::collections::BTreeSet;

use object::field::ErrorList;
use serde_json::Value;

use crate::strategy::field::{At, optional_supported};

const LIST: &str = "x-kubernetes-list-type";
const MAP: &str = "x-kubernetes-map-type";

/// What only goes with one type of value.
fn wants_type(at: &At<'_>, wanted: &str, because: &str, errors: &mut ErrorList) -> bool {
    let kind = at.at("type");
    let detail = format!("must be {wanted} if {because} is specified");
    if kind.is_empty() {
        errors.push(kind.required(&detail));
    } else if kind.text() != wanted {
        errors.push(kind.invalid(detail));
    }
    kind.text() == wanted
}

pub(super) fn map_type(at: &At<'_>, errors: &mut ErrorList) {
    let map = at.at(MAP);
    if map.is_set() {
        wants_type(at, "object", MAP, errors);
    }
    optional_supported(&map, &["atomic", "granular"], errors);
}

pub(super) fn list_type(at: &At<'_>, errors: &mut ErrorList) {
    let (list, keys, items) = (at.at(LIST), at.at("x-kubernetes-list-map-keys"), at.at("items"));
    if list.is_set() && wants_type(at, "array", LIST, errors) && list.text() == "set" {
        set_items(&items, errors);
    }
    optional_supported(&list, &["atomic", "set", "map"], errors);
    if !keys.is_empty() && list.text() != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(if list.is_set() { list.invalid(detail) } else { list.required(detail) });
    }
    if list.text() == "map" {
        map_items(&items, &keys, errors);
    }
    if matches!(list.text(), "set" | "map") && items.value.is_object() {
        not_null(&list, &items, &keys, errors);
    }
}

/// The entries of a set are atoms.
fn set_items(items: &At<'_>, errors: &mut ErrorList) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let (list, map) = (items.at(LIST), items.at(MAP));
    match items.at("type").text() {
        "array" if list.is_set() && list.text() != "atomic" => errors.push(list.invalid(detail)),
        // Upstream shows the list type here as well.
        "object" if map.text() != "atomic" => {
            errors.push(object::field::Error::invalid(&map.path, list.value.clone(), detail));
        }
        _ => {}
    }
}

/// The entries of a map are objects that have the keys.
fn map_items(items: &At<'_>, keys: &At<'_>, errors: &mut ErrorList) {
    if keys.is_empty() {
        errors.push(keys.required("must not be empty if x-kubernetes-list-type is map"));
    }
    if !items.is_set() {
        errors.push(items.required("must have a schema if x-kubernetes-list-type is map"));
        return;
    }
    if !items.value.is_object() {
        errors.push(items.invalid("must only have a single schema if x-kubernetes-list-type is map"));
        return;
    }
    let kind = items.at("type");
    if kind.text() != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(object::field::Error::invalid(&kind.path, kind.text(), detail));
        return;
    }
    let mut seen = BTreeSet::new();
    for key in keys.texts() {
        let property = At { value: &items.at("properties").value[key], path: items.at("properties").path.key(key) };
        if !property.is_set() {
            errors.push(keys.invalid("entries must all be names of item properties"));
        } else if matches!(property.at("type").text(), "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(object::field::Error::invalid(&property.at("type").path, kind.text(), detail));
        }
        if !seen.insert(key) {
            errors.push(keys.invalid("must not contain duplicate entries"));
        }
    }
}

/// What tells entries apart is always there.
fn not_null(list: &At<'_>, items: &At<'_>, keys: &At<'_>, errors: &mut ErrorList) {
    if items.at("nullable").flag() {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {}", list.text());
        errors.push(items.at("nullable").forbidden(detail));
    }
    if list.text() != "map" {
        return;
    }
    for key in keys.texts() {
        let property = At { value: &items.at("properties").value[key], path: items.at("properties").path.key(key) };
        if *property.value == Value::Null {
            continue;
        }
        let needed = items.at("required").texts().any(|required| required == key);
        if !needed && !property.at("default").is_set() {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(property.at("default").required(detail));
        }
        if property.at("nullable").flag() {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(property.at("nullable").forbidden(detail));
        }
    }
}
