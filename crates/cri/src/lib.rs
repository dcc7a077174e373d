//! CRI (`runtime.v1`) messages with client and server glue, shared by the kubelet and the runtime.
//!
//! The messages are kept by hand: what neither side uses (Windows, the list-as-stream forms, checkpoints, metric
//! descriptors) is left out, which the wire format allows. Maps are ordered, so that encodings are deterministic.

mod client;
mod container;
mod event;
mod image;
mod runtime;
mod sandbox;
mod security;
pub mod signal;
mod stats;
mod stream;

#[expect(unreachable_pub, unused_qualifications, reason = "generated")]
mod runtime_service {
    include!(concat!(env!("OUT_DIR"), "/runtime.v1.RuntimeService.rs"));
}

#[expect(unreachable_pub, unused_qualifications, reason = "generated")]
mod image_service {
    include!(concat!(env!("OUT_DIR"), "/runtime.v1.ImageService.rs"));
}

pub use client::{Client, ConnectError, Images, Runtime, connect};
pub use container::*;
pub use event::*;
pub use image::*;
pub use image_service::image_service_server::{ImageService, ImageServiceServer};
pub use runtime::*;
pub use runtime_service::runtime_service_server::{RuntimeService, RuntimeServiceServer};
pub use sandbox::*;
pub use security::*;
pub use stats::*;
pub use stream::*;

/// The version of the API that this crate speaks.
pub const API_VERSION: &str = "v1";

/// Most bytes in one message, as upstream's clients have it: long lists of containers pass gRPC's default of 4 MiB.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Most bytes of each output stream that an `ExecSync` answer holds.
pub const MAX_EXEC_OUTPUT: usize = 16 << 20;
