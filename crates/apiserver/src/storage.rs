//! The store as the registry sees it: keys by resource, bytes through one transform (encryption at rest).

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use store::Store;

/// Where all objects are.
pub const ROOT: &str = "/registry/";

/// What happens to bytes on their way to and from the store.
pub trait Transform: Debug + Send + Sync {
    /// # Errors
    /// When the bytes cannot be protected as configured; nothing is written then.
    fn seal(&self, key: &str, plain: Bytes) -> Result<Bytes, TransformError>;

    /// # Errors
    /// When the bytes cannot be read: a missing key, damage.
    fn open(&self, key: &str, stored: Bytes) -> Result<Bytes, TransformError>;
}

/// Why bytes could not be transformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transforming the value of {key}: {why}")]
pub struct TransformError {
    pub key: String,
    pub why: String,
}

/// Stores bytes as they are.
#[derive(Debug, Clone, Copy)]
pub struct Identity;

impl Transform for Identity {
    fn seal(&self, _key: &str, plain: Bytes) -> Result<Bytes, TransformError> {
        Ok(plain)
    }

    fn open(&self, _key: &str, stored: Bytes) -> Result<Bytes, TransformError> {
        Ok(stored)
    }
}

/// A store and the transform in front of it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    pub store: Arc<dyn Store>,
    pub transform: Arc<dyn Transform>,
}

impl Storage {
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, transform: Arc::new(Identity) }
    }
}

/// What follows the prefix: `<namespace>/<name>`, or the name of a cluster-scoped object.
#[must_use]
pub fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}
