//! The one writer's state: plans a group, writes it in one transaction, publishes it.

use std::fs::File;
use std::sync::Arc;

use host::Host;
use redb::{Builder, Database};

use super::backend::Backend;
use super::format::{self, HEADS, LEASES, META, VALUES};
use super::index::Index;
use super::lease::Leases;
use super::plan::{Change, Operation, Outcome, Plan, Record};
use super::shared::{Progress, Shared, State};
use super::{OpenError, Options};
use crate::contract::{LeaseId, Revision};
use crate::disk::Disk;
use crate::{Cause, Error};

/// How many compacted revisions a commit removes along with its work.
const SWEEP: usize = 1024;

/// Everything only the writer touches.
pub(super) struct Engine {
    host: Host,
    shared: Arc<Shared>,
    backend: Backend,
    leases: Leases,
    last_lease: LeaseId,
    /// The last write failed, whether or not the database has been opened anew since.
    failing: bool,
    /// Why the database must be opened anew before it is written again.
    broken: Option<Cause>,
}

impl Engine {
    /// Opens the store on `disk`, making it if there is none, and reads the index.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        host: Host,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        let backend = Backend::new(disk);
        let (state, leases, last_lease) = open_sound(&backend, options, &host)?;
        let shared = Arc::new(Shared::new(options, state, leases.next_end(), lock));
        Ok(Self { host, shared, backend, leases, last_lease, failing: false, broken: None })
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Does the operations in order and answers each. When this returns, what the answers say is durable and published.
    pub(super) fn commit(&mut self, operations: Vec<Operation>) -> Vec<Result<Outcome, Error>> {
        let count = operations.len();
        if let Err(error) = self.heal() {
            self.shared.set_trouble(Some(error.clone()));
            return vec![Err(error); count];
        }
        let (change, outcomes) = self.plan(operations);
        if change.is_empty() {
            return outcomes;
        }
        match self.write(&change) {
            Ok(()) => {
                self.publish(change);
                if self.failing {
                    self.failing = false;
                    self.shared.set_trouble(None);
                }
                outcomes
            }
            Err(error) => {
                let error = self.fail(error);
                self.shared.set_trouble(Some(error.clone()));
                vec![Err(error); count]
            }
        }
    }

    /// Does one operation and all the sweeping there is.
    pub(super) fn commit_one(&mut self, operation: Operation) -> Result<Outcome, Error> {
        let outcome = self.commit(vec![operation]).pop().unwrap_or(Err(Error::Closed));
        while self.sweep() {}
        outcome
    }

    /// Whether compacted history waits to be removed.
    pub(super) fn has_garbage(&self) -> bool {
        let state = self.shared.state();
        !state.index.garbage(state.compacted, 1).is_empty()
    }

    /// Removes some compacted history. Returns whether there is more to do and it is worth going on.
    pub(super) fn sweep(&mut self) -> bool {
        if !self.has_garbage() || self.broken.is_some() {
            return false;
        }
        self.commit(Vec::new());
        self.broken.is_none()
    }

    fn plan(&self, operations: Vec<Operation>) -> (Change, Vec<Result<Outcome, Error>>) {
        let state = self.shared.state();
        let mut plan = Plan::new(&state, &self.leases, self.last_lease, self.host.now());
        let outcomes = operations.into_iter().map(|operation| plan.add(operation)).collect();
        (plan.finish(self.shared.options.keep_revisions, SWEEP), outcomes)
    }

    fn write(&self, change: &Change) -> Result<(), redb::Error> {
        let Some(database) = self.shared.state().database.clone() else {
            return Err(redb::Error::Io(std::io::Error::other("the disk failed")));
        };
        let write = database.begin_write()?;
        write_log(&write, change)?;
        write_leases(&write, change)?;
        if let Some(compacted) = change.compacted {
            write.open_table(META)?.insert("compacted", compacted)?;
        }
        write.commit()?;
        Ok(())
    }

    fn publish(&mut self, change: Change) {
        self.last_lease = change.last_lease.unwrap_or(self.last_lease);
        self.publish_records(&change.records);
        let mut state = self.shared.state_mut();
        state.compacted = change.compacted.unwrap_or(state.compacted);
        state.index.sweep(&change.swept);
        drop(state);
        for (id, lease) in change.leases {
            self.leases.set(id, lease);
        }
        let next_end = self.leases.next_end();
        self.shared.ends_tx.send_if_modified(|ends| std::mem::replace(ends, next_end) != next_end);
    }

    /// Makes records visible: to reads first, then to watches.
    fn publish_records(&mut self, records: &[Record]) {
        let Some(last) = records.last() else { return };
        let mut state = self.shared.state_mut();
        for record in records {
            let before = state.index.current(&record.head.key).map_or(0, |v| v.lease);
            self.leases.attach(&record.head.key, before, record.head.lease);
            state.index.apply(record.revision, &record.head);
        }
        state.revision = last.revision;
        drop(state);
        let mut recent = self.shared.recent_mut();
        records.iter().for_each(|record| recent.push(record.event()));
        drop(recent);
        self.shared.progress_tx.send_replace(Progress { revision: last.revision, closed: false });
    }

    /// Notes that the database failed, so that it is opened anew, at once for readers' sake.
    fn fail(&mut self, error: redb::Error) -> Error {
        let full = self.backend.failures().take_full();
        let cause: Cause = Arc::new(error);
        tracing::error!(error = &*cause as &dyn std::error::Error, "the store could not be written");
        self.failing = true;
        self.broken = Some(cause.clone());
        if let Err(error) = self.reopen() {
            tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be read");
        }
        let what = "write the store".to_owned();
        if full { Error::Full { what, source: cause } } else { Error::Unavailable { what, source: cause } }
    }

    /// Opens a failed database anew, unless a sync failed: then only a new process can know what the disk holds.
    fn heal(&mut self) -> Result<(), Error> {
        let Some(cause) = self.broken.clone() else { return Ok(()) };
        if self.backend.failures().sync_failed() {
            let what = "write the store before the disk is checked and the process restarted".to_owned();
            return Err(Error::Unavailable { what, source: cause });
        }
        if self.shared.state().database.is_none() {
            self.reopen()?;
        }
        self.catch_up()?;
        self.broken = None;
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.backend.retire();
        self.shared.state_mut().database = None;
        let database = open_database(&self.backend, self.shared.options)
            .map_err(|e| Error::unavailable("open the store again", e))?;
        self.shared.state_mut().database = Some(Arc::new(database));
        Ok(())
    }

    /// Publishes what a failed commit left on the disk after all.
    fn catch_up(&mut self) -> Result<(), Error> {
        let (read, after, database) = {
            let state = self.shared.state();
            (state.begin_read()?, state.revision, state.database.clone())
        };
        let Some(database) = database else { return Err(Error::Closed) };
        let mut found = Vec::new();
        let sound = format::scan_heads(&database, after, |revision, head| found.push((revision, head)));
        if !sound.map_err(super::shared::unreadable)? {
            return Err(Error::Corrupt("a head of the log cannot be read".to_owned()));
        }
        let mut records = Vec::new();
        for (revision, head) in found {
            let value = (head.created != 0).then(|| super::shared::value(&read, revision)).transpose()?;
            records.push(Record { revision, head, value });
        }
        self.publish_records(&records);
        let meta = format::read_meta(&database).map_err(super::shared::unreadable)?;
        self.shared.state_mut().compacted = meta.compacted;
        self.leases = Leases::resume(&meta.leases, self.host.now());
        for (key, version) in self.shared.state().index.live() {
            self.leases.attach(key, 0, version.lease);
        }
        self.last_lease = meta.last_lease;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.progress_tx.send_modify(|progress| progress.closed = true);
    }
}

fn open_database(backend: &Backend, options: Options) -> Result<Database, redb::DatabaseError> {
    Builder::new().set_cache_size(options.cache).create_with_backend(backend.clone())
}

/// Opens the database, checks every page against its checksum, and reads the index. What is damaged beyond the last
/// durable write is refused before anything is changed or served.
fn open_sound(backend: &Backend, options: Options, host: &Host) -> Result<(State, Leases, LeaseId), OpenError> {
    let open = || {
        let failed = |error| OpenError::of_database("open the store", error);
        let mut database = open_database(backend, options).map_err(failed)?;
        if !database.check_integrity().map_err(failed)? {
            tracing::warn!("the store was damaged and went back to its last sound state");
        }
        format::prepare(&database)?;
        load(database, host)
    };
    // The database trusts its pages: damage that its checks do not meet first makes it panic.
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    opened.unwrap_or_else(|_| Err(OpenError::damaged("its pages do not fit together")))
}

/// Reads index and leases from the log.
fn load(database: Database, host: &Host) -> Result<(State, Leases, LeaseId), OpenError> {
    let failed = |e: redb::Error| OpenError::of_database("read the store's log", e);
    let meta = format::read_meta(&database).map_err(failed)?;
    let (mut index, mut revision): (_, Revision) = (Index::default(), meta.compacted.max(1));
    let sound = format::scan_heads(&database, 0, |at, head| {
        index.apply(at, &head);
        revision = revision.max(at);
    });
    if !sound.map_err(failed)? {
        return Err(OpenError::damaged("a head of the log cannot be read"));
    }
    let mut leases = Leases::resume(&meta.leases, host.now());
    for (key, version) in index.live() {
        leases.attach(key, 0, version.lease);
    }
    let state = State { index, revision, compacted: meta.compacted, database: Some(Arc::new(database)) };
    Ok((state, leases, meta.last_lease))
}

fn write_log(write: &redb::WriteTransaction, change: &Change) -> Result<(), redb::Error> {
    let (mut heads, mut values) = (write.open_table(HEADS)?, write.open_table(VALUES)?);
    for record in &change.records {
        heads.insert(record.revision, record.head.encode().as_slice())?;
        if let Some(value) = &record.value {
            values.insert(record.revision, value.as_ref())?;
        }
    }
    for garbage in &change.swept {
        heads.remove(garbage.dead)?;
        values.remove(garbage.dead)?;
    }
    Ok(())
}

fn write_leases(write: &redb::WriteTransaction, change: &Change) -> Result<(), redb::Error> {
    if change.leases.is_empty() {
        return Ok(());
    }
    let mut leases = write.open_table(LEASES)?;
    for (id, lease) in &change.leases {
        match lease {
            Some(lease) => leases.insert(id, (lease.seconds, lease.ends))?,
            None => leases.remove(id)?,
        };
    }
    if let Some(last) = change.last_lease {
        write.open_table(META)?.insert("lease", last.unsigned_abs())?;
    }
    Ok(())
}
