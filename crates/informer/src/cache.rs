//! A shared, read-only, always current copy of the objects of one type and scope.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::changes::{ChangedKeys, Changes};
use crate::content::Content;
use crate::object::Object;

/// The objects of one type and scope; cheap to clone. All readers share one copy and one watch.
///
/// What it returns is in order of namespace and name. The content is empty until the first list has arrived: wait for
/// [`Cache::synced`] before drawing conclusions from absence.
pub struct Cache<K>(Arc<Shared<K>>);

/// What readers and the reflector share. The reflector holds it weakly and ends with the last reader.
pub(crate) struct Shared<K> {
    content: RwLock<Content<K>>,
    progress: watch::Sender<Progress>,
    _stop: DropGuard,
}

/// How far the cache has followed the server.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    synced: bool,
    revision: u64,
}

impl<K: Object> Shared<K> {
    /// `stop` is cancelled when the last reader is gone.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        let progress = watch::Sender::new(Progress::default());
        Self { content: RwLock::new(Content::new()), progress, _stop: stop.drop_guard() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content<K>> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content<K>> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A whole new content as of `revision`, from a list.
    pub(crate) fn replace(&self, objects: Vec<K>, revision: u64) {
        self.write().replace(objects);
        self.progress.send_modify(|progress| *progress = Progress { synced: true, revision });
    }

    pub(crate) fn apply(&self, object: K) {
        let revision = object.revision();
        self.write().apply(object);
        self.advance(revision);
    }

    pub(crate) fn remove(&self, object: &K) {
        self.write().remove(&object.key());
        self.advance(object.revision());
    }

    /// The server has nothing older than `revision` to tell any more.
    pub(crate) fn advance(&self, revision: u64) {
        self.progress.send_if_modified(|progress| {
            let newer = revision > progress.revision;
            progress.revision = progress.revision.max(revision);
            newer
        });
    }

    pub(crate) fn close(&self) {
        self.write().close();
    }
}

impl<K: Object> Cache<K> {
    pub(crate) fn new(shared: Arc<Shared<K>>) -> Self {
        Self(shared)
    }

    /// An empty cache that follows no server but its writer; for simulated worlds.
    #[must_use]
    pub fn detached() -> (Writer<K>, Self) {
        let shared = Arc::new(Shared::new(CancellationToken::new()));
        shared.replace(Vec::new(), 0);
        (Writer(Arc::clone(&shared)), Self(shared))
    }

    /// `namespace` is `None` for cluster-scoped types.
    #[must_use]
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        self.0.read().get(namespace, name).cloned()
    }

    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.0.read().iter().cloned().collect()
    }

    #[must_use]
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.0.read().iter_in(namespace).cloned().collect()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An index over this cache: `values` says under which values to find an object. Indexes of one name are one index.
    #[must_use]
    pub fn index(&self, name: &'static str, values: fn(&K) -> Vec<String>) -> Index<K> {
        let known = self.0.read().find_index(name);
        let position = known.unwrap_or_else(|| self.0.write().add_index(name, values));
        Index { cache: self.clone(), position }
    }

    /// Changes from now on, after the present content.
    #[must_use]
    pub fn subscribe(&self) -> Changes<K> {
        Changes::new(self.0.write().subscribe(), self.clone())
    }

    /// Changed keys from now on, after all present ones.
    #[must_use]
    pub fn keys(&self) -> ChangedKeys<K> {
        ChangedKeys::new(self.0.write().subscribe(), self.clone())
    }

    /// Waits until the first list has arrived. Never returns if the server is never reached: select against shutdown.
    pub async fn synced(&self) {
        self.until(|progress| progress.synced).await;
    }

    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.progress.borrow().synced
    }

    /// The newest revision this cache has followed the server to; 0 before the first list.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.progress.borrow().revision
    }

    /// Waits until `done` holds of the cache; looks again whenever its revision advances.
    pub async fn wait_until(&self, mut done: impl FnMut(&Self) -> bool) {
        self.until(|_| done(self)).await;
    }

    /// Waits until the cache has seen `revision`, as of a write whose result the caller wants to find here.
    ///
    /// It may wait for the next bookmark (about a minute) when the write was not to this cache's type and scope.
    pub async fn reached(&self, revision: u64) {
        self.until(|progress| progress.revision >= revision).await;
    }

    async fn until(&self, done: impl FnMut(&Progress) -> bool) {
        let mut progress = self.0.progress.subscribe();
        progress.wait_for(done).await.map(|_| ()).expect("the sender lives as long as self");
    }

    /// Each advance of [`Cache::revision`], for those who wait on several caches at once.
    pub fn revisions(&self) -> impl futures::Stream<Item = u64> + Send + use<K> {
        let receiver = self.0.progress.subscribe();
        futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.changed().await.ok()?;
            let revision = receiver.borrow_and_update().revision;
            Some((revision, receiver))
        })
    }
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for Cache<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("progress", &*self.0.progress.borrow()).finish_non_exhaustive()
    }
}

/// Feeds a detached cache.
pub struct Writer<K>(Arc<Shared<K>>);

impl<K: Object> Writer<K> {
    /// Takes over `object` unless the same object is there at its revision or a newer one.
    pub fn apply(&self, object: K) {
        self.0.apply(object);
    }

    /// Removes `object`, as of its revision.
    pub fn remove(&self, object: &K) {
        self.0.remove(object);
    }
}

impl<K> fmt::Debug for Writer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Finds a cache's objects by values computed from them; cheap to clone. Holds the cache.
pub struct Index<K> {
    cache: Cache<K>,
    position: usize,
}

impl<K: Object> Index<K> {
    /// The objects under `value`, by namespace and name.
    #[must_use]
    pub fn get(&self, value: &str) -> Vec<Arc<K>> {
        self.cache.0.read().indexed(self.position, value).cloned().collect()
    }
}

impl<K> Clone for Index<K> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), position: self.position }
    }
}

impl<K> fmt::Debug for Index<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("position", &self.position).finish_non_exhaustive()
    }
}
