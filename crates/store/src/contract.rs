//! The contract: a dozen methods over keys, bytes, revisions and leases.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::Error;

/// Counts the changes of the whole store. Every put and delete has its own; an empty store stands at 1; 0 is never used.
pub type Revision = u64;

/// Names a lease. Never 0.
pub type LeaseId = i64;

/// What a key holds at some revision. Cheap to clone. Its debug form withholds the value, which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Arc<str>,
    pub value: Bytes,
    /// The revision at which the key came into being (again).
    pub created: Revision,
    /// The revision of this value.
    pub modified: Revision,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, created, modified } = self;
        write!(f, "Entry({key}, {} bytes, created {created}, modified {modified})", value.len())
    }
}

/// What a put or delete demands of the key's present state; anything else is [`Error::Conflict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Any,
    Absent,
    Exists,
    /// The key exists and its [`Entry::modified`] is this.
    Revision(Revision),
}

impl Expect {
    /// Whether a key whose current value has revision `modified` (`None`: absent) is as demanded.
    #[must_use]
    pub fn holds(self, modified: Option<Revision>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => modified.is_none(),
            Self::Exists => modified.is_some(),
            Self::Revision(wanted) => modified == Some(wanted),
        }
    }
}

/// The answer of [`Store::get`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub entry: Option<Entry>,
    /// The revision that was read.
    pub revision: Revision,
}

/// The answer of [`Store::delete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// What was deleted; `None` when there was nothing, and then the revision did not move.
    pub entry: Option<Entry>,
    /// The revision of the deletion, or the present one.
    pub revision: Revision,
}

/// What [`Store::range`] is to read: the keys that begin with `prefix`, in byte order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range<'a> {
    pub prefix: &'a str,
    /// The first key that may be returned (inclusive); a key outside of the prefix counts as the prefix's end it is nearer to.
    pub start: Option<&'a str>,
    /// The most entries to return; 0 means all.
    pub limit: usize,
    /// `None` reads the present.
    pub at: Option<Revision>,
}

/// The answer of [`Store::range`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// How many further keys the range holds after the last entry.
    pub remaining: u64,
    /// The revision that was read.
    pub revision: Revision,
}

impl Page {
    #[must_use]
    pub fn more(&self) -> bool {
        self.remaining > 0
    }
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Put(Entry),
    Delete { key: Arc<str>, revision: Revision },
}

impl Event {
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Put(entry) => entry.modified,
            Self::Delete { revision, .. } => *revision,
        }
    }
}

/// Some consecutive changes under a watch's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Ordered by revision; empty when the batch only reports progress.
    pub events: Vec<Event>,
    /// Everything up to this revision has been delivered.
    pub revision: Revision,
}

/// An open watch. Dropping it closes it.
pub struct Watch(BoxStream<'static, Result<Batch, Error>>);

impl Watch {
    /// A watch that delivers what `batches` yields.
    #[must_use]
    pub fn new(batches: BoxStream<'static, Result<Batch, Error>>) -> Self {
        Self(batches)
    }

    /// The next changes, or progress. Cancel safe. After an error the watch is over: [`Error::Compacted`] for a watcher
    /// that fell too far behind (it must read afresh), [`Error::Closed`] when the store is closing.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        self.0.next().await.unwrap_or(Err(Error::Closed))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Keys, bytes, revisions, leases. Everything an answer shows is durable.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The entry of `key`, now or at an earlier revision.
    ///
    /// [`Error::Compacted`] or [`Error::Future`] when `at` cannot be read.
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Found, Error>;

    /// The entries under a prefix, now or at an earlier revision. Errors as [`Store::get`].
    async fn range(&self, range: Range<'_>) -> Result<Page, Error>;

    /// Writes `key` and returns the new revision. With a lease, the key is deleted when the lease ends; without one, an
    /// earlier attachment is dissolved.
    ///
    /// [`Error::Conflict`] (carrying the current entry), [`Error::LeaseNotFound`], [`Error::TooLarge`],
    /// [`Error::Full`], [`Error::Unavailable`]. After the last, whether it was written is unknown.
    async fn put(&self, key: &str, value: Bytes, expect: Expect, lease: Option<LeaseId>) -> Result<Revision, Error>;

    /// Deletes `key`. Deleting an absent key with [`Expect::Any`] succeeds and changes nothing. Errors as [`Store::put`].
    async fn delete(&self, key: &str, expect: Expect) -> Result<Deleted, Error>;

    /// All changes under `prefix` with revisions greater than `after`, which may lie in the past.
    ///
    /// A watcher that reads too slowly is never waited for: it ends with [`Error::Compacted`] or [`Error::Lagged`].
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error>;

    /// The present revision: no answer given before this call shows a greater one.
    async fn revision(&self) -> Result<Revision, Error>;

    /// Whether idle watches report progress up to [`Store::revision`]. Where not, a reader that must see the present
    /// reads the store instead of waiting for a watch.
    fn reports_progress(&self) -> bool;

    /// Asks that every open watch reports soon how far it has come.
    async fn progress(&self) -> Result<(), Error>;

    /// Forgets what was superseded up to `revision`; reads before it fail from then on. Compacting twice is no error.
    async fn compact(&self, revision: Revision) -> Result<(), Error>;

    /// A new lease that ends after `ttl` (whole seconds, rounded up) unless kept alive. Many keys may share one.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error>;

    /// Gives the lease its full time again. [`Error::LeaseNotFound`] when it has ended.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error>;

    /// Ends a lease now, deleting its keys.
    async fn revoke(&self, lease: LeaseId) -> Result<(), Error>;

    /// Why nothing can be written at present, as far as the last write told; none when all is well.
    fn trouble(&self) -> Option<Error> {
        None
    }
}
