//! Values in messages as upstream's internal types print them.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::At;
use super::structs;

impl At<'_> {
    /// Like [`At::invalid`], of a struct: `ty` is its short name, `apps.v1.DeploymentStrategy`.
    pub(super) fn invalid_struct(&self, ty: &str, detail: &str) -> Error {
        Error::invalid(&self.path, self.printed(ty), detail)
    }

    /// Like [`At::unsupported`], of a struct.
    pub(super) fn unsupported_struct(&self, ty: &str, supported: &[&str]) -> Error {
        Error::not_supported(&self.path, self.printed(ty), supported)
    }

    fn printed(&self, ty: &str) -> Value {
        match (ty, schema::Type::builtin(ty)) {
            ("core.v1.PodSpec", _) => structs::value("PodSpec", self.value),
            ("core.v1.PodTemplateSpec", _) => {
                let mut template = self.value["metadata"].as_object().cloned().unwrap_or_default();
                template.insert("Spec".to_owned(), structs::value("PodSpec", &self.value["spec"]));
                Value::Object(template)
            }
            (_, Some(ty)) if self.is_set() => schema::internal(&ty, self.value),
            _ => self.value.clone(),
        }
    }
}

/// Like [`immutable`](super::field::immutable), for a struct.
pub(super) fn immutable_struct(at: &At<'_>, old: &Value, ty: &str, errors: &mut ErrorList) {
    if at.value != old {
        errors.push(at.invalid_struct(ty, "field is immutable"));
    }
}
