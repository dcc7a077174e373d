//! Deciding what a group of operations does: pure but for looking up values that answers must carry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::format::Head;
use super::index::{Garbage, Version};
use super::lease::{Lease, Leases};
use super::shared::State;
use crate::Error;
use crate::contract::{Entry, Event, Expect, LeaseId, Revision};

/// What the writer can be asked for.
#[derive(Debug)]
pub(super) enum Operation {
    Put {
        key: Arc<str>,
        value: Bytes,
        expect: Expect,
        lease: Option<LeaseId>,
    },
    Delete {
        key: Arc<str>,
        expect: Expect,
    },
    Compact(Revision),
    Grant(Duration),
    KeepAlive(LeaseId),
    Revoke(LeaseId),
    /// Ends the leases whose time has come.
    Expire,
}

impl Operation {
    /// About how many bytes it writes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            _ => 64,
        }
    }
}

/// The answer to an operation; fields it does not speak of are 0 or absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) revision: Revision,
    pub(super) entry: Option<Entry>,
    pub(super) lease: LeaseId,
}

/// One change of one key.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) revision: Revision,
    pub(super) head: Head,
    /// `None` for a delete.
    pub(super) value: Option<Bytes>,
}

impl Record {
    pub(super) fn event(&self) -> Event {
        let (key, revision) = (self.head.key.clone(), self.revision);
        match &self.value {
            Some(value) => {
                Event::Put(Entry { key, value: value.clone(), created: self.head.created, modified: revision })
            }
            None => Event::Delete { key, revision },
        }
    }
}

/// What a group of operations amounts to; written in one transaction.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Of consecutive revisions.
    pub(super) records: Vec<Record>,
    /// Leases that begin, begin anew, or (`None`) end.
    pub(super) leases: BTreeMap<LeaseId, Option<Lease>>,
    pub(super) last_lease: Option<LeaseId>,
    pub(super) compacted: Option<Revision>,
    /// Revisions to remove because they were compacted earlier.
    pub(super) swept: Vec<Garbage>,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.leases.is_empty() && self.compacted.is_none() && self.swept.is_empty()
    }
}

/// Collects a group's operations on top of the published state.
pub(super) struct Plan<'a> {
    state: &'a State,
    leases: &'a Leases,
    last_lease: LeaseId,
    now: Timestamp,
    change: Change,
    /// Key → position of its last record in `change.records`.
    pending: HashMap<Arc<str>, usize>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(state: &'a State, leases: &'a Leases, last_lease: LeaseId, now: Timestamp) -> Self {
        Self { state, leases, last_lease, now, change: Change::default(), pending: HashMap::new() }
    }

    pub(super) fn add(&mut self, operation: Operation) -> Result<Outcome, Error> {
        match operation {
            Operation::Put { key, value, expect, lease } => self.put(key, value, expect, lease),
            Operation::Delete { key, expect } => self.delete(&key, expect),
            Operation::Compact(revision) => self.compact(revision),
            Operation::Grant(ttl) => Ok(self.grant(ttl)),
            Operation::KeepAlive(id) => self.keep_alive(id),
            Operation::Revoke(id) => {
                self.lease(id).ok_or(Error::LeaseNotFound(id))?;
                Ok(self.end(id))
            }
            Operation::Expire => Ok(self.expire()),
        }
    }

    /// The whole group, with a share of the sweeping, and with history bounded to `keep` revisions.
    pub(super) fn finish(mut self, keep: u64, sweep: usize) -> Change {
        let oldest = self.revision().saturating_sub(keep);
        if oldest > self.compacted() {
            // A quarter more than needed, so that this does not happen with every group.
            self.change.compacted = Some(oldest + keep / 4);
        }
        self.change.swept = self.state.index.garbage(self.state.compacted, sweep);
        self.change
    }

    fn revision(&self) -> Revision {
        self.change.records.last().map_or(self.state.revision, |r| r.revision)
    }

    fn compacted(&self) -> Revision {
        self.change.compacted.unwrap_or(self.state.compacted)
    }

    fn current(&self, key: &str) -> Option<Version> {
        let Some(&at) = self.pending.get(key) else {
            return self.state.index.current(key);
        };
        let Record { revision, head, .. } = &self.change.records[at];
        (head.created != 0).then_some(Version { modified: *revision, created: head.created, lease: head.lease })
    }

    fn entry(&self, key: &Arc<str>, version: Version) -> Result<Entry, Error> {
        let value = match self.pending.get(key).and_then(|&at| self.change.records[at].value.clone()) {
            Some(value) => value,
            None => self.state.value(version.modified)?,
        };
        Ok(Entry { key: key.clone(), value, created: version.created, modified: version.modified })
    }

    fn check(&self, key: &Arc<str>, expect: Expect) -> Result<Option<Version>, Error> {
        let current = self.current(key);
        if expect.holds(current.map(|v| v.modified)) {
            return Ok(current);
        }
        let current = current.map(|version| self.entry(key, version)).transpose()?;
        Err(Error::Conflict { key: key.to_string(), current })
    }

    fn record(&mut self, key: Arc<str>, created: Option<Revision>, lease: LeaseId, value: Option<Bytes>) -> Revision {
        let revision = self.revision() + 1;
        let created = created.unwrap_or(revision);
        self.pending.insert(key.clone(), self.change.records.len());
        self.change.records.push(Record { revision, head: Head { key, created, lease }, value });
        revision
    }

    fn put(&mut self, key: Arc<str>, value: Bytes, expect: Expect, lease: Option<LeaseId>) -> Result<Outcome, Error> {
        if let Some(id) = lease {
            self.lease(id).ok_or(Error::LeaseNotFound(id))?;
        }
        let current = self.check(&key, expect)?;
        let revision = self.record(key, current.map(|v| v.created), lease.unwrap_or(0), Some(value));
        Ok(Outcome { revision, ..Outcome::default() })
    }

    fn delete(&mut self, key: &Arc<str>, expect: Expect) -> Result<Outcome, Error> {
        let Some(version) = self.check(key, expect)? else {
            return Ok(Outcome { revision: self.revision(), ..Outcome::default() });
        };
        let entry = Some(self.entry(key, version)?);
        let revision = self.record(key.clone(), Some(0), 0, None);
        Ok(Outcome { revision, entry, lease: 0 })
    }

    fn compact(&mut self, revision: Revision) -> Result<Outcome, Error> {
        let current = self.revision();
        if revision > current {
            return Err(Error::Future { requested: revision, current });
        }
        if revision > self.compacted() {
            self.change.compacted = Some(revision);
        }
        Ok(Outcome::default())
    }

    fn lease(&self, id: LeaseId) -> Option<Lease> {
        self.change.leases.get(&id).copied().unwrap_or_else(|| self.leases.get(id))
    }

    fn grant(&mut self, ttl: Duration) -> Outcome {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        self.last_lease += 1;
        self.change.last_lease = Some(self.last_lease);
        self.change.leases.insert(self.last_lease, Some(Lease::starting(seconds.max(1), self.now)));
        Outcome { lease: self.last_lease, ..Outcome::default() }
    }

    fn keep_alive(&mut self, id: LeaseId) -> Result<Outcome, Error> {
        let lease = self.lease(id).ok_or(Error::LeaseNotFound(id))?;
        self.change.leases.insert(id, Some(Lease::starting(lease.seconds, self.now)));
        Ok(Outcome::default())
    }

    fn expire(&mut self) -> Outcome {
        for id in self.leases.ended(self.now) {
            // One that was kept alive earlier in this group lives on.
            if self.lease(id).is_some_and(|lease| lease.ends <= self.now.as_millisecond()) {
                self.end(id);
            }
        }
        Outcome::default()
    }

    /// Ends a lease, deleting the keys that are attached to it.
    fn end(&mut self, id: LeaseId) -> Outcome {
        let mut keys: Vec<_> = self.leases.keys(id).cloned().collect();
        keys.extend(self.change.records.iter().filter(|r| r.head.lease == id).map(|r| r.head.key.clone()));
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            if self.current(&key).is_some_and(|version| version.lease == id) {
                self.record(key, Some(0), 0, None);
            }
        }
        self.change.leases.insert(id, None);
        Outcome::default()
    }
}
