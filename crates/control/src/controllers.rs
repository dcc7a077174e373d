//! The controllers, a module each.

pub mod deployment;
pub mod endpointslice;
pub mod garbage;
pub mod namespace;
pub mod node_lifecycle;
mod owners;
pub mod replicaset;
pub mod root_ca;
pub mod serviceaccount;
pub mod taint_eviction;
