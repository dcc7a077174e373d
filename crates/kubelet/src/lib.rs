//! Pods on this node, against any CRI runtime.

pub mod cgroup;
pub mod container;
pub mod context;
pub mod events;
pub mod hook;
pub mod image;
pub mod logs;
pub mod objects;
pub mod options;
pub mod pod;
pub mod probe;
pub mod quantity;
pub mod registry;
pub mod runtime;
pub mod sandbox;
pub mod volume;
pub mod worker;

pub use options::{ClientInformers, Options, PORT, Serving};
