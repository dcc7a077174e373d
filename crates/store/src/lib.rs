//! The store contract, with the embedded engine and etcd behind it.
//!
//! A store sees keys, bytes, revisions and leases; what the bytes mean is the API server's business, which alone opens one.

mod compaction;
mod contract;
pub mod disk;
mod embedded;
mod error;
pub mod etcd;
mod limits;

pub use compaction::{KEEP_HISTORY, keep_compacting};
pub use contract::{Batch, Deleted, Entry, Event, Expect, Found, LeaseId, Page, Range, Revision, Store, Watch};
pub use embedded::{Embedded, OpenError, Options};
pub use error::{Cause, Error};
