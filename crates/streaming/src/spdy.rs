//! SPDY/3.1: many streams on one connection, as exec, attach and port-forward use it.
//!
//! [`connect`] gives a [`Connection`] that opens streams, the [`Incoming`] streams of the peer, and a driver future that
//! owns the connection's bytes. Everything a peer sends is bounded: streams, header sizes, control frames, and received
//! bytes a stream, beyond which the connection is not read until the application has caught up. That also holds for
//! peers that ignore flow control, which the usual Kubernetes clients do; towards those, sending is bounded by the
//! transport alone.

mod connection;
mod dictionary;
mod driver;
mod frame;
mod header;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Incoming, Offer, Side, connect};
pub use frame::Error;
pub use header::Headers;
pub use stream::Stream;
