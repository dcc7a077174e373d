//! Remembering what is costly to find out: which certificates and signatures are good.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Entries kept; when there are more, all are forgotten.
const LIMIT: usize = 4096;

/// Values by the digest of what was shown, each until a time.
#[derive(Debug)]
pub(crate) struct Cached<T>(Mutex<HashMap<[u8; 32], (T, Timestamp)>>);

impl<T: Clone> Cached<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// The value for `shown`, made unless one is known. `make` says how long it is good.
    pub(crate) fn get<E>(
        &self,
        shown: &[u8],
        now: Timestamp,
        make: impl FnOnce() -> Result<(T, Timestamp), E>,
    ) -> Result<T, E> {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        if let Some((value, until)) = self.lock().get(&digest)
            && *until > now
        {
            return Ok(value.clone());
        }
        let (value, until) = make()?;
        let mut known = self.lock();
        if known.len() >= LIMIT {
            known.clear();
        }
        known.insert(digest, (value.clone(), until));
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (T, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
