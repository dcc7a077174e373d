//! ConfigMaps.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::At;
use super::{Context, Strategy};

pub(super) struct ConfigMap;

/// The most that all values may weigh, in bytes.
pub(super) const MAX_SIZE: usize = 1 << 20;

impl Strategy for ConfigMap {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (object, mut errors) = (At::root(object), ErrorList::new());
        let (data, binary) = (object.at("data"), object.at("binaryData"));
        let mut size = 0;
        for (key, value) in data.entries() {
            errors.extend_invalid(&value.path, key, names::config_map_key(key));
            if !binary.value[key].is_null() {
                errors.push(Error::invalid(&value.path, key, "duplicate of key present in binaryData"));
            }
            size += value.text().len();
        }
        for (key, value) in binary.entries() {
            errors.extend_invalid(&value.path, key, names::config_map_key(key));
            size += decoded_size(value.text());
        }
        if size > MAX_SIZE {
            errors.push(Error::too_long(&Path::unnamed(), MAX_SIZE));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        frozen(object, old, &["data", "binaryData"], &mut errors);
        errors.extend(self.validate(cx, object));
        errors
    }
}

/// What `immutable: true` forbids.
pub(super) fn frozen(object: &Value, old: &Value, fields: &[&str], errors: &mut ErrorList) {
    if old["immutable"] != true {
        return;
    }
    let object = At::root(object);
    let detail = "field is immutable when `immutable` is set";
    if !object.at("immutable").flag() {
        errors.push(object.at("immutable").forbidden(detail));
    }
    for field in fields {
        if object.at(field).value != &old[*field] {
            errors.push(object.at(field).forbidden(detail));
        }
    }
}

/// How many bytes a base64 text stands for.
pub(super) fn decoded_size(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count().min(text.len() / 4 * 3)
}
