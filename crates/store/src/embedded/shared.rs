//! The published state: what readers and watches see.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::watch;

use super::Options;
use super::format::VALUES;
use super::index::{Index, Version};
use super::recent::Recent;
use crate::Error;
use crate::contract::{Entry, Found, Page, Range, Revision};

/// How far the store has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) revision: Revision,
    pub(super) closed: bool,
}

/// What readers share with the writer.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    state: RwLock<State>,
    recent: RwLock<Recent>,
    /// engine --how far the store has come--> watches
    pub(super) progress_tx: watch::Sender<Progress>,
    /// engine --when the next lease ends, in milliseconds since 1970--> expiry
    pub(super) ends_tx: watch::Sender<Option<i64>>,
    /// Why the last write failed; none once one has succeeded.
    trouble: Mutex<Option<Error>>,
    /// Held for as long as anyone may use the disk.
    _lock: Option<File>,
}

/// Everything published so far; written by the engine only.
pub(super) struct State {
    pub(super) index: Index,
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    /// `None` while the disk cannot be read.
    pub(super) database: Option<Arc<Database>>,
}

impl Shared {
    pub(super) fn new(options: Options, state: State, next_end: Option<i64>, lock: Option<File>) -> Self {
        let progress = Progress { revision: state.revision, closed: false };
        Self {
            options,
            state: RwLock::new(state),
            recent: RwLock::default(),
            progress_tx: watch::Sender::new(progress),
            ends_tx: watch::Sender::new(next_end),
            trouble: Mutex::default(),
            _lock: lock,
        }
    }

    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<Error>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn revision(&self) -> Revision {
        self.state().revision
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recent(&self) -> RwLockReadGuard<'_, Recent> {
        self.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recent_mut(&self) -> RwLockWriteGuard<'_, Recent> {
        self.recent.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str, at: Option<Revision>) -> Result<Found, Error> {
        let state = self.state();
        let revision = state.readable(at)?;
        let Some(version) = state.index.at(key, revision) else {
            return Ok(Found { entry: None, revision });
        };
        let read = state.begin_read()?;
        drop(state);
        let entry = Entry::of(key.into(), version, value(&read, version.modified)?);
        Ok(Found { entry: Some(entry), revision })
    }

    pub(super) fn range(&self, range: Range<'_>) -> Result<Page, Error> {
        let limit = if range.limit == 0 { usize::MAX } else { range.limit };
        let state = self.state();
        let revision = state.readable(range.at)?;
        let mut found = state.index.range(range.prefix, range.start, revision);
        let wanted: Vec<_> = found.by_ref().take(limit).map(|(key, version)| (key.clone(), version)).collect();
        let remaining = found.count() as u64;
        let read = state.begin_read()?;
        drop(state);
        let entries = wanted
            .into_iter()
            .map(|(key, version)| Ok(Entry::of(key, version, value(&read, version.modified)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Page { entries, remaining, revision })
    }
}

impl Entry {
    fn of(key: Arc<str>, version: Version, value: Bytes) -> Self {
        Self { key, value, created: version.created, modified: version.modified }
    }
}

impl State {
    /// The revision that a read at `at` means.
    fn readable(&self, at: Option<Revision>) -> Result<Revision, Error> {
        match at {
            None => Ok(self.revision),
            Some(requested) if requested > self.revision => Err(Error::Future { requested, current: self.revision }),
            Some(requested) if requested < self.compacted.max(1) => {
                Err(Error::Compacted { requested, compacted: self.compacted })
            }
            Some(requested) => Ok(requested),
        }
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Error> {
        let database = self.database.as_ref().ok_or_else(|| unreadable(std::io::Error::other("the disk failed")))?;
        database.begin_read().map_err(unreadable)
    }

    /// The value written at a revision that the index knows.
    pub(super) fn value(&self, revision: Revision) -> Result<Bytes, Error> {
        value(&self.begin_read()?, revision)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("revision", &self.revision).field("compacted", &self.compacted).finish()
    }
}

/// The value written at `revision`.
pub(super) fn value(read: &ReadTransaction, revision: Revision) -> Result<Bytes, Error> {
    let values = read.open_table(VALUES).map_err(unreadable)?;
    let value = values.get(revision).map_err(unreadable)?;
    let value = value.ok_or_else(|| Error::Corrupt(format!("revision {revision} has no value")))?;
    Ok(Bytes::copy_from_slice(value.value()))
}

pub(super) fn unreadable(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("read the store", source)
}
