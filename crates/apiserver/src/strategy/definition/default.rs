//! Defaults of schemas: they must be values of their own schema.
//!
//! Looked at are types, choices and fields that nobody would keep; other limits are not.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::structural::{is_embedded, keeps_unknown_fields, takes_int_or_string};
use crate::strategy::field::At;

/// Checks the defaults of a structural schema and of all below it.
pub(super) fn check(schema: &At<'_>, errors: &mut ErrorList) {
    if !schema.value.is_object() {
        return;
    }
    let default = schema.at("default");
    if default.is_set() {
        if has_unknown_fields(default.value, schema.value) {
            errors.push(default.invalid("must not have unknown fields"));
        }
        fits(&default, "", schema.value, errors);
    }
    check(&schema.at("items"), errors);
    schema.at("properties").entries().for_each(|(_, property)| check(&property, errors));
}

/// Whether a value has fields that would be pruned.
fn has_unknown_fields(value: &Value, schema: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, below)| {
            let property = &schema["properties"][name.as_str()];
            let additional = &schema["additionalProperties"];
            if property.is_object() {
                has_unknown_fields(below, property)
            } else if additional.is_object() {
                has_unknown_fields(below, additional)
            } else {
                let own = is_embedded(schema) && matches!(name.as_str(), "metadata" | "kind" | "apiVersion");
                !(own || keeps_unknown_fields(schema) || *additional == Value::Bool(true))
            }
        }),
        Value::Array(items) => items.iter().any(|below| has_unknown_fields(below, &schema["items"])),
        _ => false,
    }
}

/// `name` is the path below the default.
fn fits(at: &At<'_>, name: &str, schema: &Value, errors: &mut ErrorList) {
    if at.value.is_null() || !schema.is_object() {
        return;
    }
    if let Some(wanted) = mistyped(at.value, schema) {
        let found = kind(at.value);
        let detail = format!("{name} in body must be of type {wanted}: \"{found}\"");
        errors.push(Error::type_invalid(&at.path, found, detail));
        return;
    }
    if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.contains(at.value)) {
        let choices: Vec<String> =
            choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)).collect();
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        errors.push(Error::not_supported(&at.path, at.value.clone(), &choices));
    }
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if at.value.is_object() && at.value.get(field).is_none() {
            errors.push(at.at(field).required(""));
        }
    }
    for (index, value) in at.value.as_array().into_iter().flatten().enumerate() {
        let step = format!("[{index}]");
        let below = At { value, path: at.path.child(&step) };
        fits(&below, &format!("{name}{step}"), &schema["items"], errors);
    }
    for field in at.value.as_object().into_iter().flatten().map(|(field, _)| field) {
        let below = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
        fits(&at.at(field), &below, &schema["properties"][field.as_str()], errors);
    }
}

/// The type that a value should have and has not.
fn mistyped<'a>(value: &Value, schema: &'a Value) -> Option<&'a str> {
    if takes_int_or_string(schema) {
        return None;
    }
    let wanted = schema["type"].as_str()?;
    let found = kind(value);
    (found != wanted && !(wanted == "number" && found == "integer")).then_some(wanted)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|n| n.fract() != 0.0) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
