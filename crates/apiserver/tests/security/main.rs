//! Authentication, authorization, admission and streams to nodes over real TLS on loopback.

mod access;
mod cluster;
mod identity;
mod nodes;
mod pods;
