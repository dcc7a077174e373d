//! Nodes without containers: they register, renew their Leases, and report the pods bound to them as running.
//!
//! One [`Hollow`] serves any number of nodes over one shared watch, and runs on virtual time. What a node answers is
//! computed by pure functions in `node` and `pod`.

mod node;
mod pod;
mod role;

pub use role::{Hollow, Options};
