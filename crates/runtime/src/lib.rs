//! The embedded container runtime: a CRI server over images, snapshots, containers, shims and streaming.

mod network;
mod options;

pub use network::{Attachment, HostPort, NetworkError, NetworkRequest, PodNetwork};
pub use options::Options;
