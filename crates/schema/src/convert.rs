//! Conversion between the versions of a type.

pub(crate) mod autoscaling;
pub(crate) mod events;
pub(crate) mod resource;

use serde_json::Value;
use thiserror::Error;

use crate::resource::{Resource, Served};

/// How the versions of a type differ.
#[derive(Debug, Clone, Copy)]
pub enum Conversion {
    /// There is one version.
    None,
    /// Only the name: fields are the same, or those that a version lacks are dropped when it is normalised.
    Rename,
    /// A function that rewrites the object in place.
    Function(ConvertFunction),
}

/// Rewrites an object of one `apiVersion` as one of another. `apiVersion` and `kind` are set by the caller.
pub type ConvertFunction = fn(object: &mut Value, from: &str, to: &str);

/// Why an object could not be converted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConvertError {
    #[error("convert {kind}: {version} is not a version of it")]
    UnknownVersion { kind: String, version: String },
}

/// Converts an object from the version that its `apiVersion` names to the given version of the row. The result has the
/// fields of that version, not yet in canonical order: normalise it before it is stored or sent.
///
/// # Errors
/// When `apiVersion` names no version of the row.
pub fn convert(resource: &Resource, mut object: Value, to: usize) -> Result<Value, ConvertError> {
    let target = object::api_version(&resource.group, &resource.versions[to].name);
    let from = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    if from == target {
        return Ok(object);
    }
    let known = resource.versions.iter().any(|v| object::api_version(&resource.group, &v.name) == from)
        || resource.stored_as.as_ref().is_some_and(|gvk| gvk.api_version() == from);
    if !known {
        return Err(ConvertError::UnknownVersion { kind: resource.kind.to_string(), version: from });
    }
    rewrite(resource, &mut object, &from, &target);
    Ok(object)
}

/// Converts a served object to the form in which it is stored: the storage version, or the type of another group that
/// it shares its store with.
///
/// # Errors
/// When `apiVersion` names no version of the row.
pub fn to_storage(served: &Served, mut object: Value) -> Result<Value, ConvertError> {
    let resource = &served.resource;
    match &resource.stored_as {
        None => convert(resource, object, resource.storage),
        Some(gvk) => {
            rewrite(resource, &mut object, &served.api_version(), &gvk.api_version());
            Ok(object)
        }
    }
}

/// Converts a stored object to the served version.
///
/// # Errors
/// When its `apiVersion` names no version of the row.
pub fn from_storage(served: &Served, object: Value) -> Result<Value, ConvertError> {
    convert(&served.resource, object, served.version)
}

fn rewrite(resource: &Resource, object: &mut Value, from: &str, to: &str) {
    if let Conversion::Function(function) = resource.conversion {
        function(object, from, to);
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".into(), to.into());
    }
}

/// Moves a field to another name; nothing happens when it is absent.
fn rename(object: &mut Value, from: &str, to: &str) {
    if let Some(fields) = object.as_object_mut()
        && let Some(value) = fields.shift_remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
