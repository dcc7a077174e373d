//! Pods on this node, against any CRI runtime.
//!
//! [`Kubelet`] is the role. Below it, [`pod::step`] decides what to do for one pod and [`pod::status`] what to say about
//! it, both pure; [`worker`] carries out the one and publishes the other, one worker a pod.

pub mod cgroup;
pub mod container;
pub mod context;
pub mod events;
pub mod hook;
pub mod image;
mod kubelet;
pub mod logs;
pub mod merge;
pub mod node;
pub mod objects;
pub mod options;
pub mod pod;
pub mod pods;
pub mod probe;
pub mod quantity;
pub mod registry;
pub mod runtime;
pub mod sandbox;
pub mod server;
pub mod volume;
pub mod worker;

pub use kubelet::Kubelet;
pub use options::{ClientInformers, Options, PORT, Serving};
