//! The kinds of `scheduling.k8s.io`.

mod group;
mod priority;

pub(super) use group::{PodGroup, Workload};
pub(super) use priority::PriorityClass;
