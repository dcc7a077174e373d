//! Store leases for objects that live for a while only. Objects written at about the same time share one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use store::{LeaseId, Store};
use tokio::time::Instant;

use crate::error::Result;

/// How much longer than asked an object may live, as a fraction of its time: the price of sharing leases.
const SLACK: u32 = 20;

/// The leases in use, by time to live.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<BTreeMap<Duration, Shared>>);

#[derive(Debug, Clone, Copy)]
struct Shared {
    id: LeaseId,
    /// Objects written after this moment need a new lease.
    until: Instant,
}

impl Leases {
    /// The lease for an object that lives for `ttl`; none for those that stay.
    pub(crate) async fn for_write(&self, store: &dyn Store, ttl: Option<Duration>) -> Result<Option<LeaseId>> {
        let Some(ttl) = ttl else { return Ok(None) };
        let now = Instant::now();
        if let Some(shared) = self.lock().get(&ttl).filter(|shared| shared.until > now) {
            return Ok(Some(shared.id));
        }
        let slack = ttl / SLACK;
        let id = store.grant(ttl + slack).await?;
        self.lock().insert(ttl, Shared { id, until: now + slack });
        Ok(Some(id))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Duration, Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
