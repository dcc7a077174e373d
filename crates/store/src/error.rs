//! What can go wrong with a store, told apart by what the caller does next.

use std::sync::Arc;

use crate::{Entry, LeaseId, Revision};

/// A cause from below, shared by all writes that failed together.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a store call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The precondition does not hold; `current` is what the key holds.
    #[error("key {key} is not in the expected state")]
    Conflict { key: String, current: Option<Entry> },
    /// The revision's history is gone; `compacted` is the oldest that can be read, 0 when the store does not say.
    #[error("revision {requested} has been compacted")]
    Compacted { requested: Revision, compacted: Revision },
    #[error("revision {requested} is in the future, the present is {current}")]
    Future { requested: Revision, current: Revision },
    /// The watcher read too slowly and was cut.
    #[error("watch fell behind at revision {revision}")]
    Lagged { revision: Revision },
    #[error("lease {0} does not exist")]
    LeaseNotFound(LeaseId),
    #[error("value of {size} bytes for key {key} exceeds the limit of {limit}")]
    TooLarge { key: String, size: usize, limit: usize },
    #[error("key of {size} bytes is empty or exceeds the limit of {limit}")]
    BadKey { size: usize, limit: usize },
    /// No space is left; reads go on, and so do writes once there is space again.
    #[error("no space left to {what}")]
    Full { what: String, source: Cause },
    /// The store could not be reached or its disk failed; the outcome of a write is unknown.
    #[error("cannot {what}")]
    Unavailable { what: String, source: Cause },
    /// The stored bytes are not what this store wrote.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    #[error("store is closed")]
    Closed,
}

impl Error {
    /// [`Error::Unavailable`] because of `source`.
    pub fn unavailable(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { what: what.into(), source: Arc::new(source) }
    }
}
