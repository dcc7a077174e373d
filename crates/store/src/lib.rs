//! The store contract, with the embedded engine and etcd behind it.
//!
//! A store sees keys, bytes, revisions and leases; what the bytes mean is the API server's business, which alone opens one.

mod contract;
mod error;

pub use contract::{Batch, Deleted, Entry, Event, Expect, Found, LeaseId, Page, Range, Revision, Store, Watch};
pub use error::{Cause, Error};
