//! Structural schemas: every field has one type, said once, outside of all that only judges values.

use object::field::{Error, ErrorList};
use serde_json::{Value, json};

use crate::strategy::field::At;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Where a schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Keywords without which a schema has no structural form.
pub(super) fn unsupported(schema: &Value) -> Option<String> {
    if !schema.is_object() {
        return None;
    }
    let said = |field: &str| match &schema[field] {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    let keywords = [
        ("id", "id"),
        ("$schema", "schema"),
        ("$ref", "$ref"),
        ("patternProperties", "patternProperties"),
        ("dependencies", "dependencies"),
        ("additionalItems", "additionalItems"),
        ("definitions", "definitions"),
    ];
    if let Some((_, name)) = keywords.iter().find(|(field, _)| said(field)) {
        return Some(format!("OpenAPIV3Schema '{name}' is not supported"));
    }
    if schema[PRESERVE] == false {
        return Some(format!("internal error: '{PRESERVE}' must be true or undefined"));
    }
    if schema["items"].as_array().is_some_and(|items| !items.is_empty()) {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
    }
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|list| schema[list].as_array().into_iter().flatten());
    let single = ["not", "items", "additionalProperties"].into_iter().map(|field| &schema[field]);
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(_, below)| below);
    lists.chain(single).chain(properties).find_map(unsupported)
}

/// What keeps a schema from being structural, sorted as upstream sorts it.
pub(super) fn check(schema: &At<'_>) -> Vec<Error> {
    let mut errors = ErrorList::new();
    invariants(schema, Level::Root, &mut errors);
    complete_value(schema, Some(schema), &schema.path, &mut errors);
    errors.0.sort_by_key(ToString::to_string);
    errors.0
}

fn has_type(schema: &Value, wanted: &str) -> bool {
    schema["type"] == wanted
}

fn invariants(at: &At<'_>, level: Level, errors: &mut ErrorList) {
    if !at.value.is_object() {
        return;
    }
    let (kind, items, additional) = (at.at("type"), at.at("items"), at.at("additionalProperties"));
    if kind.text() == "array" && !items.is_set() {
        errors.push(items.required("must be specified"));
    }
    invariants(&items, Level::Item, errors);
    at.at("properties").entries().for_each(|(_, property)| invariants(&property, Level::Field, errors));
    if additional.is_set() && level == Level::Root {
        errors.push(additional.forbidden("must not be used at the root"));
    }
    invariants(&additional, Level::Field, errors);
    extensions(at, errors);
    value(at, is_int_or_string(at.value), is_int_or_string(&at.value["allOf"][0]), errors);
    types(at, level, errors);
    metadata(at, level, errors);
    let embedded = at.at(EMBEDDED).flag();
    if embedded && !at.at(PRESERVE).flag() && at.at("properties").is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.push(at.at("properties").required(detail));
    }
}

fn extensions(at: &At<'_>, errors: &mut ErrorList) {
    for field in [PRESERVE, EMBEDDED] {
        if at.at(INT_OR_STRING).flag() && at.at(field).flag() {
            errors.push(at.at(field).invalid("must be false if x-kubernetes-int-or-string is true"));
        }
    }
}

fn types(at: &At<'_>, level: Level, errors: &mut ErrorList) {
    let (kind, embedded) = (at.at("type"), at.at(EMBEDDED).flag());
    if embedded && kind.text() != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if kind.is_empty() { kind.required(detail) } else { kind.invalid(detail) });
    } else if kind.is_empty() && !at.at(INT_OR_STRING).flag() && !at.at(PRESERVE).flag() {
        errors.push(kind.required(match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        }));
    }
    let additional = at.at("additionalProperties");
    if embedded && additional.is_set() {
        errors.push(additional.forbidden("must not be used if x-kubernetes-embedded-resource is set"));
    }
    if level == Level::Root && !kind.is_empty() && kind.text() != "object" {
        errors.push(kind.invalid("must be object at the root"));
    }
}

/// Objects have kind, apiVersion and metadata, about which a schema says little.
fn metadata(at: &At<'_>, level: Level, errors: &mut ErrorList) {
    let properties = at.at("properties");
    let is_object = level == Level::Root || at.at(EMBEDDED).flag();
    let property = |name: &str| At { value: &properties.value[name], path: properties.path.key(name) };
    let mistyped = |at: &At<'_>, wanted: &str| {
        let kind = at.at("type");
        Error::invalid(&kind.path, kind.text(), format!("must be {wanted}"))
    };
    for field in ["kind", "apiVersion"].map(property) {
        if is_object && field.is_set() && !has_type(field.value, "string") {
            errors.push(mistyped(&field, "string"));
        }
    }
    let metadata = property("metadata");
    if !metadata.is_set() {
        return;
    }
    if is_object && !has_type(metadata.value, "object") {
        errors.push(mistyped(&metadata, "object"));
    }
    if level == Level::Root && says_more_than_names(&metadata) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(metadata.forbidden(detail));
    }
}

fn says_more_than_names(metadata: &At<'_>) -> bool {
    let only_names = metadata.at("properties").entries().all(|(name, _)| matches!(name, "name" | "generateName"));
    let others =
        metadata.entries().filter(|(name, at)| !matches!(*name, "type" | "properties" | "default") && at.is_set());
    !only_names || others.count() > 0
}

/// `anyOf: [{type: integer}, {type: string}]`, which older schemas have.
fn is_int_or_string(schema: &Value) -> bool {
    schema["anyOf"] == json!([{"type": "integer"}, {"type": "string"}])
}

/// What judges values. The pattern of integers or strings may name types.
fn value(at: &At<'_>, skip_any: bool, skip_first_all: bool, errors: &mut ErrorList) {
    if !skip_any {
        at.at("anyOf").items().for_each(|entry| nested(&entry, false, errors));
    }
    for (index, entry) in at.at("allOf").items().enumerate() {
        nested(&entry, skip_first_all && index == 0, errors);
    }
    at.at("oneOf").items().for_each(|entry| nested(&entry, false, errors));
    nested(&at.at("not"), false, errors);
}

/// A schema within one of those: it has no structure of its own.
fn nested(at: &At<'_>, skip_any: bool, errors: &mut ErrorList) {
    /// Field, and what it must be.
    const FORBIDDEN: &[(&str, &str)] = &[
        ("default", "undefined"),
        ("title", "empty"),
        ("description", "empty"),
        ("nullable", "false"),
        (PRESERVE, "false"),
        (EMBEDDED, "false"),
        (INT_OR_STRING, "false"),
        ("x-kubernetes-list-map-keys", "empty"),
        ("x-kubernetes-list-type", "undefined"),
        ("x-kubernetes-map-type", "undefined"),
        ("x-kubernetes-validations", "empty"),
    ];
    if !at.value.is_object() {
        return;
    }
    value(at, skip_any, false, errors);
    nested(&at.at("items"), false, errors);
    at.at("properties").entries().for_each(|(_, entry)| nested(&entry, false, errors));
    let mut forbid = |field: &At<'_>, wanted: &str| {
        errors.push(field.forbidden(format!("must be {wanted} to be structural")));
    };
    if !at.at("type").is_empty() {
        forbid(&at.at("type"), "empty");
    }
    let additional = at.at("additionalProperties");
    if additional.is_set() && *additional.value != Value::Bool(false) {
        forbid(&additional, "undefined");
    }
    for (field, wanted) in FORBIDDEN {
        let field = at.at(field);
        if field.is_set() && *field.value != Value::Bool(false) {
            forbid(&field, wanted);
        }
    }
    let metadata = at.at("properties").path.key("metadata");
    if !at.value["properties"]["metadata"].is_null() {
        errors.push(Error::forbidden(&metadata, "must not be specified in a nested context"));
    }
}

/// Fields that are judged must be said to exist. `structure` is what is said at `path`.
fn complete_value(judged: &At<'_>, structure: Option<&At<'_>>, path: &object::field::Path, errors: &mut ErrorList) {
    let not = judged.at("not");
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|list| judged.at(list).items().collect::<Vec<_>>());
    for entry in std::iter::once(not).chain(lists).filter(|entry| entry.value.is_object()) {
        complete(&entry, structure, path, errors);
    }
}

fn complete(judged: &At<'_>, structure: Option<&At<'_>>, path: &object::field::Path, errors: &mut ErrorList) {
    let Some(there) = structure else {
        errors.push(Error::required(path, format!("because it is defined in {}", judged.path)));
        return;
    };
    complete_value(judged, structure, path, errors);
    let items = judged.at("items");
    if items.value.is_object() {
        let said = there.at("items");
        complete(&items, Some(&said).filter(|said| said.value.is_object()), &said.path, errors);
    }
    for (name, property) in judged.at("properties").entries() {
        let place = there.at("properties").path.key(name);
        let said = At { value: &there.value["properties"][name], path: place.clone() };
        complete(&property, Some(&said).filter(|said| said.is_set()), &place, errors);
    }
}

/// Whether fields that a schema does not name are kept.
pub(super) fn keeps_unknown_fields(schema: &Value) -> bool {
    schema[PRESERVE] == true
}

pub(super) fn is_embedded(schema: &Value) -> bool {
    schema[EMBEDDED] == true
}

pub(super) fn takes_int_or_string(schema: &Value) -> bool {
    schema[INT_OR_STRING] == true
}
