//! The metadata that caches, registries and garbage collection need, read without parsing the rest of an object.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A view of `metadata`. Absent and null fields are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub generate_name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    #[serde(deserialize_with = "nullable")]
    pub resource_version: String,
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
    pub creation_timestamp: Option<String>,
    pub deletion_timestamp: Option<String>,
    pub deletion_grace_period_seconds: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Vec<OwnerReference>,
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<String>,
}

/// An owner of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: Option<bool>,
    pub block_owner_deletion: Option<bool>,
}

impl Meta {
    /// Reads the metadata of an object's JSON; everything else is skipped, not built.
    ///
    /// # Errors
    /// When the bytes are no JSON object or a metadata field has another type.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Envelope>(bytes).map(|envelope| envelope.metadata)
    }

    /// Reads the metadata of a parsed object.
    ///
    /// # Errors
    /// When a metadata field has another type.
    pub fn from_value(object: &Value) -> Result<Self, serde_json::Error> {
        match object.get("metadata") {
            Some(metadata) if !metadata.is_null() => Self::deserialize(metadata),
            _ => Ok(Self::default()),
        }
    }

    /// The owner that is marked as controller.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }

    /// True once deletion was asked for.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default, deserialize_with = "nullable")]
    metadata: Meta,
}

/// Null is the empty value, as in Go.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `metadata.name`, or empty.
#[must_use]
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.namespace`, or empty.
#[must_use]
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `metadata.uid`, or empty.
#[must_use]
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `metadata.resourceVersion`, or empty.
#[must_use]
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// `metadata.labels`, when there are any.
#[must_use]
pub fn labels(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("labels")
}

/// The value of an annotation.
#[must_use]
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"kind":"Pod","spec":{"containers":[{"name":"a"}]},"metadata":{"name":"n","namespace":"s",
        "labels":null,"finalizers":["f"],"ownerReferences":[{"kind":"ReplicaSet","name":"r","uid":"u","controller":true}],
        "deletionTimestamp":"2024-01-01T00:00:00Z","managedFields":[{}]}}"#;

    #[test]
    fn bytes_and_values_agree() {
        let meta = Meta::from_json(OBJECT.as_bytes()).expect("valid");
        let value: Value = serde_json::from_str(OBJECT).expect("valid");
        assert_eq!(Meta::from_value(&value).expect("valid"), meta);
        assert_eq!((meta.name.as_str(), name(&value)), ("n", "n"));
        assert!(meta.is_terminating() && meta.labels.is_empty());
        assert_eq!(meta.controller().map(|o| o.uid.as_str()), Some("u"));
    }

    #[test]
    fn absent_metadata_is_empty() {
        assert_eq!(Meta::from_json(b"{}").expect("valid"), Meta::default());
        assert!(Meta::from_json(b"{\"metadata\":{\"name\":1}}").is_err());
        assert!(Meta::from_json(b"[").is_err());
    }
}
