//! The embedded engine: a log of revisions in redb, an index of the keys in memory, one writer that groups commits.
//!
//! Requests go to the writer, which plans a group of them against the index, writes the group's records in one
//! transaction with one sync, and only then publishes index, revision and events and answers. Readers and watches see
//! published state alone, so nothing is visible before it is durable. A watch is a cursor over the log: it holds no
//! queue, and one that falls behind the compacted revision is cut.

mod backend;
mod engine;
mod expiry;
mod format;
mod index;
mod lease;
mod lock;
mod plan;
mod recent;
mod shared;
mod watch;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use host::Host;

use crate::contract::{Deleted, Expect, Found, LeaseId, Page, Range, Revision, Store, Watch};
use crate::disk::{Disk, FileDisk, MemoryDisk};
use crate::{Cause, Error, limits};
use engine::Engine;
use plan::{Operation, Outcome};
use shared::Shared;
use writer::Writer;

/// Reads of more entries than this leave the async threads alone.
const LIGHT_READ: usize = 256;

/// Limits of an embedded store.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of the database's page cache.
    pub cache: usize,
    /// History is kept for at most this many revisions, whatever the compaction interval.
    pub keep_revisions: u64,
    /// The largest value, in bytes.
    pub max_value: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache: 8 << 20, keep_revisions: 1_000_000, max_value: limits::MAX_VALUE }
    }
}

/// Why an embedded store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store at {path} is in use by {owner}")]
    Locked { path: PathBuf, owner: String },
    #[error("store has format {found}, this version reads formats up to {known}: use a version that reads it")]
    Format { found: u64, known: u64 },
    #[error("the stored data is damaged ({what}): put a backup in its place, or move it away to begin with nothing")]
    Damaged { what: String },
    #[error("cannot {what}")]
    Failed { what: String, source: Cause },
}

impl OpenError {
    fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged { what: what.to_string() }
    }

    /// What redb says, told apart by whether the file is to blame.
    fn of_database(what: &str, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) if !is_damage(&error) => Self::failed(what, error),
            error => Self::damaged(error),
        }
    }

    fn failed(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed { what: what.into(), source: Arc::new(source) }
    }
}

/// Whether an error of reading says that the file is not what it should be, not that the disk failed.
fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::InvalidData | Kind::UnexpectedEof | Kind::InvalidInput)
}

/// A store in this process. Cheap to clone; closed when the last clone and watch are gone.
#[derive(Debug, Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
    writer: Writer,
}

impl Embedded {
    /// Opens (or makes) the store in the directory `dir`, which it owns alone until it is closed.
    pub async fn open(dir: &Path, options: Options, host: &Host) -> Result<Self, OpenError> {
        let (dir, owned) = (dir.to_owned(), host.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let lock = lock::acquire(&dir)?;
            open_file(&dir, options, owned, lock)
        });
        let engine = opened.await.map_err(|e| OpenError::failed("open the store", e))??;
        Self::start(engine, host, false)
    }

    /// A store that lives and dies with the process. On a paused runtime it is deterministic.
    pub fn memory(host: &Host) -> Result<Self, OpenError> {
        Self::on(Arc::new(MemoryDisk::default()), Options::default(), host)
    }

    /// A store on any disk; an [immediate](Disk::immediate) one is written by the calling tasks themselves.
    pub fn on(disk: Arc<dyn Disk>, options: Options, host: &Host) -> Result<Self, OpenError> {
        let inline = disk.immediate();
        Self::start(Engine::open(disk, options, host.clone(), None)?, host, inline)
    }

    fn start(engine: Engine, host: &Host, inline: bool) -> Result<Self, OpenError> {
        let shared = engine.shared();
        let writer = if inline { Writer::inline(engine) } else { Writer::thread(engine)? };
        expiry::spawn(host, &shared, writer.downgrade());
        Ok(Self { shared, writer })
    }

    /// Runs a read of about `entries` entries where it disturbs nobody.
    async fn read<T: Send + 'static>(
        &self,
        entries: usize,
        read: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if entries <= LIGHT_READ || self.writer.is_inline() {
            return read(&self.shared);
        }
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || read(&shared)).await.map_err(|_| Error::Closed)?
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Found, Error> {
        self.shared.get(key, at)
    }

    async fn range(&self, range: Range<'_>) -> Result<Page, Error> {
        let Range { limit, at, .. } = range;
        let (prefix, start) = (range.prefix.to_owned(), range.start.map(str::to_owned));
        let entries = if limit == 0 { usize::MAX } else { limit };
        self.read(entries, move |shared| shared.range(Range { prefix: &prefix, start: start.as_deref(), limit, at }))
            .await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, lease: Option<LeaseId>) -> Result<Revision, Error> {
        limits::check(key, &value, self.shared.options.max_value)?;
        let operation = Operation::Put { key: key.into(), value, expect, lease };
        Ok(self.writer.submit(operation).await?.revision)
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<Deleted, Error> {
        let Outcome { revision, entry, .. } = self.writer.submit(Operation::Delete { key: key.into(), expect }).await?;
        Ok(Deleted { entry, revision })
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        watch::open(&self.shared, prefix, after)
    }

    async fn revision(&self) -> Result<Revision, Error> {
        Ok(self.shared.revision())
    }

    fn reports_progress(&self) -> bool {
        true
    }

    async fn progress(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.writer.submit(Operation::Compact(revision)).await.map(drop)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        Ok(self.writer.submit(Operation::Grant(ttl)).await?.lease)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error> {
        self.writer.submit(Operation::KeepAlive(lease)).await.map(drop)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Error> {
        self.writer.submit(Operation::Revoke(lease)).await.map(drop)
    }

    fn trouble(&self) -> Option<Error> {
        self.shared.trouble()
    }
}

/// Opens the store's file, or makes one under another name and renames it, so that a crash leaves all of it or none.
fn open_file(dir: &Path, options: Options, host: Host, lock: File) -> Result<Engine, OpenError> {
    let (path, unfinished) = (dir.join("store.redb"), dir.join("store.redb.new"));
    let failed = |what: &str, e| OpenError::failed(format!("{what} {}", path.display()), e);
    if path.try_exists().map_err(|e| failed("look for", e))? {
        let disk = FileDisk::open(&path).map_err(|e| failed("open", e))?;
        // A store gets its name when it is whole; an empty one has lost what it held.
        if disk.size().map_err(|e| failed("measure", e))? == 0 {
            return Err(OpenError::damaged(format!("{} is empty", path.display())));
        }
        return Engine::open(Arc::new(disk), options, host, Some(lock));
    }
    let disk = FileDisk::open(&unfinished).and_then(|disk| disk.resize(0).map(|()| disk));
    let engine = Engine::open(Arc::new(disk.map_err(|e| failed("make", e))?), options, host, Some(lock))?;
    let renamed = std::fs::rename(&unfinished, &path).and_then(|()| File::open(dir)?.sync_all());
    renamed.map_err(|e| failed("make", e))?;
    Ok(engine)
}
