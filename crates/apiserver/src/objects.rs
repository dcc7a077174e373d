//! Reading other objects: what admission, authorization and strategies see of the watch cache.

use std::sync::Arc;

use schema::{RegisterError, Resource as Row, Table};
use serde_json::Value;

use crate::cache::{Cache, Entry, Filter, Resource, Subscription};
use crate::storage;

/// Why a resource type could not be added.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error("load the objects of the new type")]
    Load(#[source] crate::error::Error),
    #[error(transparent)]
    Refused(RegisterError),
}

/// A view of the watch cache; cheap to clone. Never waits, and may be a moment behind.
#[derive(Debug, Clone)]
pub struct Objects {
    cache: Arc<Cache>,
    table: Arc<Table>,
}

impl Objects {
    #[must_use]
    pub fn new(cache: Arc<Cache>, table: Arc<Table>) -> Self {
        Self { cache, table }
    }

    /// An object's entry: labels and uid are at hand, the rest is [`Entry::value`]. `namespace` is empty for
    /// cluster-scoped objects.
    #[must_use]
    pub fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.resource(group, resource)?.get(&storage::key(namespace, name))
    }

    /// An object in its storage version, parsed.
    #[must_use]
    pub fn value(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.get(group, resource, namespace, name).map(|entry| entry.value())
    }

    /// The objects of a namespace, or with an empty one of all, in order of namespace and name.
    #[must_use]
    pub fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Entry>> {
        let Some(resource) = self.resource(group, resource) else { return Vec::new() };
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        resource.snapshot().objects.under(&prefix).cloned().collect()
    }

    /// What is there and every change from then on. When [`Subscription::events`] closes, subscribe again.
    #[must_use]
    pub fn watch(&self, group: &str, resource: &str) -> Option<Subscription> {
        Some(self.resource(group, resource)?.watch(&Filter::default()))
    }

    /// The cache of one resource.
    #[must_use]
    pub fn resource(&self, group: &str, resource: &str) -> Option<Arc<Resource>> {
        let snapshot = self.table.snapshot();
        self.cache.at(&snapshot.row(group, resource)?.key_prefix(None))
    }

    /// Adds a resource type while the server runs: its objects are loaded first, then its paths lead somewhere.
    ///
    /// # Errors
    /// When the store cannot be read, or the table refuses the row.
    pub async fn register(&self, row: Row) -> Result<(), RegistrationError> {
        self.cache.add(crate::server::definition(&row)).await.map_err(RegistrationError::Load)?;
        self.table.register(row).map(drop).map_err(RegistrationError::Refused)
    }

    /// Removes a resource type that was added by [`Objects::register`]; false when there is none. Its objects stay in
    /// the store.
    pub fn unregister(&self, group: &str, plural: &str) -> bool {
        let prefix = self.table.snapshot().row(group, plural).map(|row| row.key_prefix(None));
        let removed = self.table.unregister(group, plural);
        if let Some(prefix) = prefix.filter(|_| removed) {
            self.cache.remove(&prefix);
        }
        removed
    }

    /// Waits until everything written before this call can be seen.
    ///
    /// # Errors
    /// When the store cannot be asked or the cache stays behind.
    pub async fn fresh(&self) -> crate::error::Result<u64> {
        self.cache.fresh().await
    }

    /// Waits until the cache has been filled for the first time.
    pub async fn loaded(&self) {
        self.cache.loaded().await;
    }
}
