//! The database's storage on a [`Disk`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::disk::Disk;

/// Gives redb a [`Disk`] and remembers how it failed, which decides whether the store may go on.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    disk: Arc<dyn Disk>,
    failures: Arc<Failures>,
    /// Set for a database that is being replaced, so that it cannot write behind its successor's back.
    retired: Arc<AtomicBool>,
}

/// How the disk has failed so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// There was no space; goes away when there is.
    full: AtomicBool,
    /// A sync failed: what the page cache shows may never reach the device, so only a restart can tell what is there.
    sync: AtomicBool,
}

impl Backend {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, failures: Arc::default(), retired: Arc::default() }
    }

    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Cuts off those who have a clone of this backend; clones made from now on work.
    pub(super) fn retire(&mut self) {
        std::mem::take(&mut self.retired).store(true, Ordering::Relaxed);
    }

    fn usable(&self) -> io::Result<()> {
        if self.retired.load(Ordering::Relaxed) { Err(io::Error::other("the database was replaced")) } else { Ok(()) }
    }

    fn note<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome
            && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            self.failures.full.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Failures {
    /// Whether space has run out since this was last asked.
    pub(super) fn take_full(&self) -> bool {
        self.full.swap(false, Ordering::Relaxed)
    }

    pub(super) fn sync_failed(&self) -> bool {
        self.sync.load(Ordering::Relaxed)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.usable()?;
        self.note(self.disk.resize(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.usable()?;
        let outcome = self.note(self.disk.sync());
        if outcome.is_err() {
            self.failures.sync.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.usable()?;
        self.note(self.disk.write(offset, data))
    }
}
