//! The embedded container runtime: a CRI server over images, snapshots, containers, shims and streaming.
//!
//! [`Runtime`] is the role. It keeps everything below `<data>/runtime` and serves CRI on [`Options::socket`]. Containers
//! belong to shims (see the `shim` crate), so that they outlive this process.

pub mod client;
mod container;
mod crash;
mod engine;
mod error;
mod exec;
mod image;
mod layout;
mod network;
mod options;
mod record;
mod role;
mod sandbox;
mod server;
mod shim;
mod spec;
mod stats;
mod stream;
mod terminal;

pub use network::{Attachment, HostPort, NetworkError, NetworkRequest, PodNetwork};
pub use options::Options;
pub use role::Runtime;
