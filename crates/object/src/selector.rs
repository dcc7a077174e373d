//! Label selectors and field selectors.

mod fields;
mod labels;
mod parse;

use thiserror::Error;

pub use fields::{FieldRequirement, FieldSelector};
pub use labels::{LabelSelector, Operator, Requirement};

/// A selector that cannot be read; the text is what upstream answers with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// What a label selector looks labels up in.
pub trait Labels {
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for std::collections::BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// A JSON object of strings, as `metadata.labels` is; any other value has no labels.
impl Labels for serde_json::Value {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

impl Labels for serde_json::Map<String, serde_json::Value> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

/// Pairs, for a few labels in order.
impl<S: AsRef<str>> Labels for [(S, S)] {
    fn label(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| k.as_ref() == key).map(|(_, v)| v.as_ref())
    }
}

impl<T: Labels + ?Sized> Labels for Option<&T> {
    fn label(&self, key: &str) -> Option<&str> {
        (*self)?.label(key)
    }
}
