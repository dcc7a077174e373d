//! Real containers: the runtime behind its socket, its shims, and images from a registry on loopback.
//!
//! Skipped where the machine or the user cannot run containers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says why it is skipped and panics when its set-up fails"
)]

mod files;
mod images;
mod life;
mod node;
mod restart;
mod security;
mod streams;
