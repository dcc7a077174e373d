//! The scheduler: queue, framework and plugins.
//!
//! [`schedule`] is pure: a pod and a [`Snapshot`] in, a [`Decision`] out. The [plugins](plugins::PLUGINS) are a table. The
//! role around it keeps the snapshot and the queue current from watches, and binds.

mod affinity;
mod cycle;
mod explain;
pub mod plugins;
mod pod;
mod queue;
mod requests;
mod role;
mod snapshot;

pub use cycle::{Decision, Rejection, schedule};
pub use explain::explain;
pub use pod::PodInfo;
pub use requests::{Requests, pod_requests};
pub use role::{Options, Scheduler};
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
