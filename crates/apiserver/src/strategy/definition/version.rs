//! What a version of a definition has beside its schema: subresources, columns, fields for selectors.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::{path, schema};
use crate::strategy::field::{At, required};

const COLUMN_TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: &[&str] = &["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MAX_FIELDS: usize = 8;
/// In bytes.
const MAX_WARNING: usize = 256;

pub(super) fn has_status(subresources: &At<'_>) -> bool {
    subresources.at("status").is_set()
}

pub(super) fn version(at: &At<'_>, with_status: bool, errors: &mut ErrorList) {
    deprecation(at, errors);
    schema::validation(&at.at("schema"), with_status, errors);
    subresources(&at.at("subresources"), errors);
    at.at("additionalPrinterColumns").items().for_each(|entry| column(&entry, errors));
    let (fields, schema) = (at.at("selectableFields"), at.at("schema").at("openAPIV3Schema"));
    if !fields.is_empty() && !schema.is_set() {
        let detail = "may only be set when `version.schema.openAPIV3Schema` is not included";
        errors.push(Error::invalid(&fields.path, "", detail));
    } else if !fields.is_empty() {
        selectable_fields(&fields, schema.value, errors);
    }
}

fn deprecation(at: &At<'_>, errors: &mut ErrorList) {
    let warning = at.at("deprecationWarning");
    if !warning.is_set() {
        return;
    }
    if !at.at("deprecated").flag() {
        errors.push(warning.invalid("can only be set for deprecated versions"));
        return;
    }
    let text = warning.text();
    if text.len() > MAX_WARNING {
        errors.push(warning.invalid("must be <= 256 characters long"));
    }
    if text.is_empty() {
        errors.push(warning.invalid("must not be an empty string"));
    }
    let unprintable = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if let Some((at, _)) = text.char_indices().find(|(_, c)| unprintable(*c)) {
        let detail =
            format!("must only contain printable UTF-8 characters; non-printable character found at index {at}");
        errors.push(warning.invalid(detail));
    }
}

/// A path into objects, with dots; it is not looked at beyond its first byte.
fn simple_path(at: &At<'_>, errors: &mut ErrorList) -> bool {
    let simple = at.text().starts_with('.');
    if !simple {
        errors.push(at.invalid("must be a simple json path starting with ."));
    }
    simple
}

pub(super) fn subresources(at: &At<'_>, errors: &mut ErrorList) {
    let scale = at.at("scale");
    if !scale.is_set() {
        return;
    }
    for (field, below) in [("specReplicasPath", "spec"), ("statusReplicasPath", "status")] {
        let path = scale.at(field);
        if required(&path, errors) && simple_path(&path, errors) && !path.text().starts_with(&format!(".{below}.")) {
            errors.push(path.invalid(format!("should be a json path under .{below}")));
        }
    }
    let selector = scale.at("labelSelectorPath");
    let below = [".spec.", ".status."].iter().any(|start| selector.text().starts_with(start));
    if !selector.is_empty() && simple_path(&selector, errors) && !below {
        errors.push(selector.invalid("should be a json path under either .spec or .status"));
    }
}

pub(super) fn column(at: &At<'_>, errors: &mut ErrorList) {
    let (kind, format) = (at.at("type"), at.at("format"));
    required(&at.at("name"), errors);
    let types = format!("must be one of {}", COLUMN_TYPES.join(","));
    if kind.is_empty() {
        errors.push(kind.required(&types));
    } else if !COLUMN_TYPES.contains(&kind.text()) {
        errors.push(kind.invalid(types));
    }
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format.text()) {
        errors.push(format.invalid(format!("must be one of {}", COLUMN_FORMATS.join(","))));
    }
    let path = At { value: &at.value["jsonPath"], path: at.path.child("JSONPath") };
    if required(&path, errors) {
        simple_path(&path, errors);
    }
}

pub(super) fn selectable_fields(at: &At<'_>, schema: &Value, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for field in at.items().map(|entry| entry.at("jsonPath")).collect::<Vec<_>>() {
        if !required(&field, errors) {
            continue;
        }
        let (steps, found) = match path::find(field.text(), schema, false) {
            Ok(found) => found,
            Err(why) => {
                errors.push(field.invalid(format!("is an invalid path: {why}")));
                continue;
            }
        };
        if steps.first().is_some_and(|step| step == "metadata") {
            errors.push(field.invalid("must not point to fields in metadata"));
        }
        if !["string", "boolean", "integer"].iter().any(|kind| found["type"] == *kind) {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                          formats are allowed.";
            errors.push(field.invalid(detail));
        }
        if !seen.insert(steps) {
            errors.push(field.duplicate());
        }
    }
    if seen.len() > MAX_FIELDS {
        errors.push(Error::too_many(&at.path, seen.len(), MAX_FIELDS));
    }
}
