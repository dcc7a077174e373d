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

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        if object["type"] == "kubernetes.io/tls" { pair(&object["data"]).into_iter().collect() } else { Vec::new() }
    }
}

/// A certificate and its key belong together; whoever writes others is told.
fn pair(data: &Value) -> Option<String> {
    let part = |key: &str| STANDARD.decode(data[key].as_str().unwrap_or_default()).unwrap_or_default();
    super::keypair::problem(&part("tls.crt"), &part("tls.key"))
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
        "kubernetes.io/ssh-auth" if data.value["ssh-privatekey"].as_str().unwrap_or_default().is_empty() => {
            errors.push(Error::required(&data.path.key("ssh-privatekey"), ""));
        }
        "kubernetes.io/dockercfg" => json_document(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => json_document(data, ".dockerconfigjson", errors),
        _ => {}
    }
}

fn json_document(data: &At<'_>, key: &str, errors: &mut ErrorList) {
    let Some(encoded) = data.value[key].as_str() else { return };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    if let Some(why) = super::json::object_error(&bytes) {
        errors.push(Error::invalid(&data.path.key(key), REDACTED, why));
    }
}
