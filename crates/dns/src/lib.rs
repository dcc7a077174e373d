//! Cluster DNS: names of Services and Pods from the informer, everything else from upstream.
//!
//! The names are those of the Kubernetes DNS specification 1.1.0. [`records`] says, as a pure function, which records one
//! Service has; [`Zone`] holds the records of all by name, kept up to date by changes, so that a query is one hash
//! look-up. What the zone does not own goes to the resolvers of this machine, through a small cache.

mod answer;
mod cache;
mod publish;
mod records;
mod role;
mod serve;
mod upstream;
mod zone;

pub use answer::{Answer, Responder};
pub use records::{Entry, records};
pub use role::{Dns, Options, Publication};
pub use serve::Server;
pub use upstream::Upstream;
pub use zone::{Found, Source, Zone};
