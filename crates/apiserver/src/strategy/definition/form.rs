//! The form in which upstream checks definitions: what all versions share stands once, above them.
//!
//! Messages name fields of this form, so that a definition with one version is told of `spec.validation`.

use serde_json::{Map, Value};

/// Field of a version, and its name above the versions.
const SHARED: &[(&str, &str)] = &[
    ("subresources", "subresources"),
    ("schema", "validation"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

/// The internal form of a `v1` spec.
pub(super) fn internal(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let Some(fields) = spec.as_object_mut() else { return Value::Object(Map::new()) };
    webhook(fields);
    let mut versions = fields.get("versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(first) = versions.first().cloned() else { return spec };
    fields.insert("version".to_owned(), first["name"].clone());
    for (below, above) in SHARED {
        if !versions.iter().all(|version| version[*below] == first[*below]) {
            continue;
        }
        for version in versions.iter_mut().filter_map(Value::as_object_mut) {
            version.shift_remove(*below);
        }
        if !first[*below].is_null() {
            fields.insert((*above).to_owned(), first[*below].clone());
        }
    }
    fields.insert("versions".to_owned(), versions.into());
    spec
}

/// The webhook of a conversion stands in the conversion itself.
fn webhook(spec: &mut Map<String, Value>) {
    let Some(conversion) = spec.get_mut("conversion").and_then(Value::as_object_mut) else { return };
    let Some(Value::Object(mut webhook)) = conversion.shift_remove("webhook") else { return };
    for (from, to) in
        [("clientConfig", "webhookClientConfig"), ("conversionReviewVersions", "conversionReviewVersions")]
    {
        if let Some(value) = webhook.shift_remove(from) {
            conversion.insert(to.to_owned(), value);
        }
    }
}
