//! Authentication, authorization, admission and streams to nodes over real TLS on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where it stands, and says when it is skipped"
)]

mod access;
mod cluster;
mod handshakes;
mod identity;
mod kubectl;
mod nodes;
mod pods;
