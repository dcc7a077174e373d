//! The watch cache: every object of every resource as bytes, fed by one watch on the store.

mod entry;
mod event;
mod feed;
mod filter;
mod resource;
mod scan;
mod sorted;
mod watchers;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

pub use entry::{Entry, spliced};
pub use event::{Event, Shown};
pub use filter::{Field, FieldTerm, Filter, Selectable, UnsupportedField};
pub use resource::{Definition, Resource, Snapshot, Subscription, TooOld};
pub use sorted::Sorted;

use crate::error::{Error, Result};
use crate::storage::Storage;

/// How long a read waits for the cache to see a revision, as upstream does.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a change is given to arrive by itself.
const NUDGE_AFTER: Duration = Duration::from_millis(100);
/// Belongs to no resource.
const NUDGE_KEY: &str = "/registry/progress";

/// All cached resources.
#[derive(Debug)]
pub struct Cache {
    storage: Storage,
    resources: RwLock<HashMap<Box<str>, Arc<Resource>>>,
    /// Everything up to this revision has been taken in; 0 before the first load.
    progress: watch::Sender<u64>,
}

impl Cache {
    #[must_use]
    pub fn new(storage: Storage) -> Arc<Self> {
        Arc::new(Self { storage, resources: RwLock::default(), progress: watch::Sender::new(0) })
    }

    /// Adds resources whose objects are loaded when the feed starts.
    pub fn define(&self, definitions: impl IntoIterator<Item = Definition>) {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        for definition in definitions {
            let resource = Arc::new(Resource::new(definition));
            resources.insert(resource.definition().prefix.clone(), resource);
        }
    }

    /// Adds a resource while the feed runs, and loads its objects. One with the same prefix is replaced, its watches end.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn add(&self, definition: Definition) -> Result<Arc<Resource>> {
        self.define([definition.clone()]);
        let resource = self.at(&definition.prefix).ok_or_else(|| Error::internal("the resource was removed"))?;
        feed::load_one(&self.storage, &resource).await.map_err(Error::from)?;
        Ok(resource)
    }

    /// Forgets a resource; its watches end.
    pub fn remove(&self, prefix: &str) {
        self.resources.write().unwrap_or_else(PoisonError::into_inner).remove(prefix);
    }

    /// The resource with this prefix.
    #[must_use]
    pub fn at(&self, prefix: &str) -> Option<Arc<Resource>> {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).get(prefix).cloned()
    }

    /// Everything up to this revision is in the cache.
    #[must_use]
    pub fn progress(&self) -> u64 {
        *self.progress.borrow()
    }

    /// Waits until the cache holds all that was written before this call; the revision it then stands at, at least.
    ///
    /// # Errors
    /// When the store cannot be asked, or the cache stays behind: 504.
    pub async fn fresh(&self) -> Result<u64> {
        let revision = self.storage.store.revision().await.map_err(Error::from)?;
        self.wait(revision).await?;
        Ok(revision)
    }

    /// Waits until the cache has seen `revision`.
    ///
    /// # Errors
    /// 504 when it has not within three seconds.
    pub async fn wait(&self, revision: u64) -> Result<()> {
        if self.progress() >= revision {
            return Ok(());
        }
        self.storage.store.progress().await.map_err(Error::from)?;
        if tokio::time::timeout(NUDGE_AFTER, self.seen(revision)).await.is_ok() {
            return Ok(());
        }
        if !self.storage.store.reports_progress() {
            self.nudge(revision).await?;
        }
        if tokio::time::timeout(PATIENCE - NUDGE_AFTER, self.seen(revision)).await.is_ok() {
            return Ok(());
        }
        let text = format!("Too large resource version: {revision}, current: {}", self.progress());
        Err(Error::timeout(text, 1).cause("ResourceVersionTooLarge", "Too large resource version", ""))
    }

    async fn seen(&self, revision: u64) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|seen| *seen >= revision).await;
    }

    /// Makes a change that the feed will see. A store that does not say how far an idle watch has come has moved on
    /// without a change under our prefix; this change shows that there was none before it. A revision that the store
    /// has not reached is not worth one.
    async fn nudge(&self, revision: u64) -> Result<()> {
        if self.storage.store.revision().await? < revision {
            return Ok(());
        }
        let expect = store::Expect::Any;
        self.storage.store.put(NUDGE_KEY, bytes::Bytes::new(), expect, None).await.map(drop).map_err(Error::from)
    }

    /// Waits for the first load.
    pub async fn loaded(&self) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|seen| *seen > 0).await;
    }

    /// Follows the store until it closes.
    pub async fn run(self: Arc<Self>) {
        feed::run(&self).await;
    }
}
