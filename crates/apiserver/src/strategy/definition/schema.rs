//! Schemas of custom resources: which parts of OpenAPI they may use, and how.

mod list;
mod rule;

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::{default, structural};
use crate::strategy::field::{At, supported};
use crate::strategy::internal;

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
/// What the root may say where there is a status.
const AT_ROOT: &[(&str, &str)] = &[
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];
/// Parts of OpenAPI that are not for custom resources.
const UNSUPPORTED: &[&str] = &["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];
/// Formats of strings that are looked at; dashes do not count.
const FORMATS: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// Where in the tree a schema stands.
#[derive(Clone, Default)]
struct Place {
    /// Within the metadata of an object.
    in_metadata: bool,
    /// Why there may be no default here.
    no_default: Option<String>,
}

/// A `CustomResourceValidation`, which may be absent.
pub(super) fn validation(at: &At<'_>, with_status: bool, errors: &mut ErrorList) {
    let schema = at.at("openAPIV3Schema");
    if !schema.is_set() {
        return;
    }
    let before = errors.len();
    if with_status {
        errors.extend(root(&schema));
    }
    if schema.at("nullable").flag() {
        errors.push(schema.at("nullable").forbidden("nullable cannot be true at the root"));
    }
    let unsupported = structural::unsupported(schema.value);
    if unsupported.is_none() {
        let found = structural::check(&schema);
        if found.is_empty() {
            default::check(&schema, errors);
        }
        errors.extend(found);
    }
    check(&schema, true, &Place::default(), errors);
    if errors.len() == before
        && let Some(why) = unsupported
    {
        errors.push(Error::invalid(&schema.path, "", why));
    }
}

/// What the root says beyond what is allowed beside a status.
fn root(schema: &At<'_>) -> Option<Error> {
    let kind = schema.at("type");
    if kind.text() != "object" && !kind.is_empty() {
        let detail =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        return Some(kind.invalid(detail));
    }
    let said = schema.entries().filter(|(_, at)| at.is_set() && *at.value != Value::Bool(false));
    let mut others = said.filter(|(name, _)| !AT_ROOT.iter().any(|(allowed, _)| allowed == name));
    others.next()?;
    let allowed: Vec<&str> = AT_ROOT.iter().map(|(_, name)| *name).collect();
    let detail = format!(
        "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
        allowed.join(" ")
    );
    Some(Error::invalid(&schema.path, internal::shown("apiextensions.v1.JSONSchemaProps", schema.value), detail))
}

fn check(at: &At<'_>, is_root: bool, place: &Place, errors: &mut ErrorList) {
    if !at.value.is_object() {
        return;
    }
    parts(at, place, errors);
    if at.at("uniqueItems").flag() {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(at.at("uniqueItems").forbidden(detail));
    }
    properties(at, is_root, place, errors);
    check(&at.at("not"), false, place, errors);
    for field in ["allOf", "oneOf", "anyOf"] {
        at.at(field).items().for_each(|entry| check(&entry, false, place, errors));
    }
    at.at("definitions").entries().for_each(|(_, entry)| check(&entry, false, place, errors));
    check(&at.at("items"), false, place, errors);
    at.at("items").items().for_each(|entry| check(&entry, false, place, errors));
    at.at("dependencies").entries().for_each(|(_, entry)| check(&entry, false, place, errors));
    let preserve = at.at("x-kubernetes-preserve-unknown-fields");
    if *preserve.value == Value::Bool(false) {
        errors.push(preserve.invalid("must be true or undefined"));
    }
    list::map_type(at, errors);
    list::list_type(at, errors);
    let rules = at.at("x-kubernetes-validations");
    rules.items().for_each(|entry| rule::rule(&entry, at.value, errors));
}

/// Single keywords that are not for custom resources.
fn parts(at: &At<'_>, place: &Place, errors: &mut ErrorList) {
    let (kind, items) = (at.at("type"), at.at("items"));
    if !kind.is_empty() {
        supported(&kind, TYPES, errors);
    }
    if let Some(why) = place.no_default.as_ref().filter(|_| at.at("default").is_set()) {
        errors.push(at.at("default").forbidden(format!("must not be set {why}")));
    }
    for field in UNSUPPORTED.iter().map(|field| at.at(field)).filter(|field| field.is_set()) {
        let name = field.path.as_str().rsplit('.').next().unwrap_or_default().to_owned();
        errors.push(field.forbidden(format!("{name} is not supported")));
    }
    if kind.text() == "null" {
        errors.push(kind.forbidden("type cannot be set to null, use nullable as an alternative"));
    }
    if items.count() > 0 {
        errors.push(items.forbidden("items must be a schema object and not an array"));
    }
    let embedded = at.at("x-kubernetes-embedded-resource");
    if place.in_metadata && embedded.flag() {
        errors.push(embedded.forbidden("must not be used inside of resource meta"));
    }
}

fn properties(at: &At<'_>, is_root: bool, place: &Place, errors: &mut ErrorList) {
    let (properties, additional) = (at.at("properties"), at.at("additionalProperties"));
    if additional.is_set() {
        if !properties.is_empty() && *additional.value != Value::Bool(true) {
            errors.push(additional.forbidden("additionalProperties and properties are mutual exclusive"));
        }
        let mut below = place.clone();
        if place.in_metadata {
            below.no_default = Some("inside additionalProperties applying to object metadata".to_owned());
        }
        check(&additional, false, &below, errors);
    }
    let is_object = is_root || at.at("x-kubernetes-embedded-resource").flag();
    for (name, property) in properties.entries() {
        let mut below = place.clone();
        if is_object && matches!(name, "metadata" | "kind" | "apiVersion") {
            below.in_metadata = true;
            if is_root {
                below.no_default = Some(format!("in top-level {name}"));
            }
        }
        check(&property, false, &below, errors);
    }
}

/// Calls `visit` with a schema and all below it.
fn walk<'a>(schema: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    if !schema.is_object() {
        return;
    }
    visit(schema);
    for field in ["items", "not", "additionalProperties", "additionalItems"] {
        walk(&schema[field], visit);
    }
    for field in ["items", "allOf", "anyOf", "oneOf"] {
        schema[field].as_array().into_iter().flatten().for_each(|below| walk(below, visit));
    }
    for field in ["properties", "patternProperties", "definitions", "dependencies"] {
        schema[field].as_object().into_iter().flatten().for_each(|(_, below)| walk(below, visit));
    }
}

fn schemas(spec: &Value) -> impl Iterator<Item = &Value> {
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions.map(|version| &version["schema"]["openAPIV3Schema"])
}

/// Whether a schema of a spec has a default.
pub(super) fn has_defaults(spec: &Value) -> bool {
    let mut found = false;
    schemas(spec).for_each(|schema| walk(schema, &mut |schema| found |= !schema["default"].is_null()));
    found
}

/// The formats of a definition that nobody looks at, once each for all versions that have the same schema.
pub(super) fn unknown_formats(object: &Value) -> Vec<String> {
    let (mut formats, mut seen) = (Vec::new(), BTreeSet::new());
    for schema in schemas(&object["spec"]).filter(|schema| seen.insert(schema.to_string())) {
        walk(schema, &mut |schema| {
            let format = schema["format"].as_str().unwrap_or_default();
            if !format.is_empty() && !is_known(schema["type"].as_str().unwrap_or_default(), format) {
                formats.push(format.to_owned());
            }
        });
    }
    formats
}

fn is_known(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => FORMATS.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}
