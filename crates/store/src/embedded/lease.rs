//! Leases: what has to end when, and the keys that end with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::contract::LeaseId;

/// How long a lease lives and when it ends. Ends are wall time, so that they survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) seconds: u64,
    /// Milliseconds since 1970.
    pub(super) ends: i64,
}

impl Lease {
    pub(super) fn new(seconds: u64, ends: i64) -> Self {
        Self { seconds, ends }
    }

    /// A lease whose full time starts `now`.
    pub(super) fn starting(seconds: u64, now: Timestamp) -> Self {
        let span = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self { seconds, ends: now.as_millisecond().saturating_add(span) }
    }

    /// The same lease for a process that starts `now`: never longer than its full time, should the clock have jumped.
    fn resumed(self, now: Timestamp) -> Self {
        Self { ends: self.ends.min(Self::starting(self.seconds, now).ends), ..self }
    }
}

/// All leases and the keys attached to them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    /// The same, by their ends.
    ends: BTreeSet<(i64, LeaseId)>,
    keys: BTreeMap<LeaseId, BTreeSet<Arc<str>>>,
}

impl Leases {
    pub(super) fn resume(leases: &[(LeaseId, Lease)], now: Timestamp) -> Self {
        let mut resumed = Self::default();
        for (id, lease) in leases {
            resumed.set(*id, Some(lease.resumed(now)));
        }
        resumed
    }

    pub(super) fn get(&self, id: LeaseId) -> Option<Lease> {
        self.leases.get(&id).copied()
    }

    pub(super) fn set(&mut self, id: LeaseId, lease: Option<Lease>) {
        let previous = match lease {
            Some(lease) => self.leases.insert(id, lease),
            None => self.leases.remove(&id),
        };
        if let Some(previous) = previous {
            self.ends.remove(&(previous.ends, id));
        }
        match lease {
            Some(lease) => drop(self.ends.insert((lease.ends, id))),
            None => drop(self.keys.remove(&id)),
        }
    }

    /// Moves `key` from one lease to another; 0 is none.
    pub(super) fn attach(&mut self, key: &Arc<str>, from: LeaseId, to: LeaseId) {
        if from != 0 && from != to {
            self.keys.entry(from).or_default().remove(key);
        }
        if to != 0 {
            self.keys.entry(to).or_default().insert(key.clone());
        }
    }

    pub(super) fn keys(&self, id: LeaseId) -> impl Iterator<Item = &Arc<str>> {
        self.keys.get(&id).into_iter().flatten()
    }

    pub(super) fn ended(&self, now: Timestamp) -> Vec<LeaseId> {
        self.ends.iter().take_while(|(ends, _)| *ends <= now.as_millisecond()).map(|(_, id)| *id).collect()
    }

    /// When the next lease ends, in milliseconds since 1970.
    pub(super) fn next_end(&self) -> Option<i64> {
        self.ends.first().map(|(ends, _)| *ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_end_in_order_and_never_later_than_their_time() {
        let now = Timestamp::UNIX_EPOCH;
        let mut leases = Leases::resume(&[(1, Lease::new(10, i64::MAX)), (2, Lease::new(20, 5_000))], now);
        assert_eq!(leases.next_end(), Some(5_000));
        assert_eq!(leases.ended(Timestamp::from_second(10).unwrap()), [2, 1]);
        leases.set(2, None);
        assert_eq!(leases.next_end(), Some(10_000));
    }
}
