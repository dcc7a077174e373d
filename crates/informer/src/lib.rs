//! Shared caches of API objects for every client in the process.
//!
//! [`Informers`] hands out one [`Cache`] for each type and scope: one list and watch, one decode, one copy, however many
//! roles read it. A cache starts on first demand and ends when nobody holds it, its indexes or its subscriptions.

mod backoff;
mod cache;
mod changes;
mod content;
mod informers;
mod metadata;
mod object;
mod reflector;
mod wire;

pub use backoff::Backoff;
pub use cache::{Cache, Index, Writer};
pub use changes::{Change, ChangedKeys, Changes};
pub use informers::Informers;
pub use metadata::{Metadata, MetadataView};
pub use object::{Key, Object, Scope, parse_revision};
pub use wire::Projection;

#[cfg(test)]
mod tests;
