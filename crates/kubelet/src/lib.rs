//! Pods on this node, against any CRI runtime.

pub mod container;
pub mod pod;
pub mod quantity;
pub mod sandbox;
pub mod volume;
