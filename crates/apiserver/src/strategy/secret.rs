//! Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::configmap::{MAX_SIZE, decoded_size, frozen};
use super::field::{At, immutable, object_at, remove};
use super::{Context, Strategy};

pub(super) struct Secret;

const ACCOUNT: &str = "kubernetes.io/service-account.name";
const REDACTED: &str = "<secret contents redacted>";

/// What the types must hold.
const REQUIRED: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];

impl Strategy for Secret {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        encode_strings(object);
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        encode_strings(object);
        if object["type"].as_str().unwrap_or_default().is_empty() {
            object["type"] = old["type"].clone();
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (object, mut errors) = (At::root(object), ErrorList::new());
        let data = object.at("data");
        let mut size = 0;
        for (key, value) in data.entries() {
            errors.extend_invalid(&value.path, key, names::config_map_key(key));
            size += decoded_size(value.text());
        }
        if size > MAX_SIZE {
            errors.push(Error::too_long(&data.path, MAX_SIZE));
        }
        typed(&object, &data, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable(&At::root(object).at("type"), &old["type"], &mut errors);
        frozen(object, old, &["data"], &mut errors);
        errors.extend(self.validate(cx, object));
        errors
    }
}

/// `stringData` is a way to write `data`.
fn encode_strings(object: &mut Value) {
    let strings = object["stringData"].take();
    remove(object, "stringData");
    let Value::Object(strings) = strings else { return };
    let data = object_at(object, "data");
    for (key, text) in strings {
        data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
    }
}

fn typed(object: &At<'_>, data: &At<'_>, errors: &mut ErrorList) {
    let kind = object.at("type");
    for key in REQUIRED.iter().find(|(k, _)| *k == kind.text()).map_or(&[][..], |(_, keys)| *keys) {
        if !data.at(key).is_set() {
            errors.push(Error::required(&data.path.key(key), ""));
        }
    }
    match kind.text() {
        "" => errors.push(kind.required("")),
        "kubernetes.io/service-account-token" => {
            let annotations = object.at("metadata").at("annotations");
            if annotations.value[ACCOUNT].as_str().unwrap_or_default().is_empty() {
                errors.push(Error::required(&annotations.path.key(ACCOUNT), ""));
            }
        }
        "kubernetes.io/basic-auth" if data.value["username"].is_null() && data.value["password"].is_null() => {
            errors.push(Error::required(&data.path.key("username"), ""));
            errors.push(Error::required(&data.path.key("password"), ""));
        }
        "kubernetes.io/dockercfg" => json_document(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => json_document(data, ".dockerconfigjson", errors),
        _ => {}
    }
}

fn json_document(data: &At<'_>, key: &str, errors: &mut ErrorList) {
    let Some(encoded) = data.value[key].as_str() else { return };
    let document = STANDARD.decode(encoded).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    if !document.is_some_and(|document| document.is_object()) {
        errors.push(Error::invalid(&data.path.key(key), REDACTED, "must be a JSON object"));
    }
}
