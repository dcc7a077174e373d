//! What the shim program and the runtime share: container specifications, the protocol, persisted status, cgroups.
//!
//! The shim holds one pod sandbox: it lives in the sandbox's network, IPC and UTS namespaces, is the parent of its
//! containers, owns their streams and logs, and writes down how they ended. It is single-threaded, so that it may fork.

pub mod cgroup;
mod clock;
pub mod frame;
mod launch;
mod log;
pub mod protocol;
pub mod server;
pub mod spec;
pub mod status;
mod sys;
pub mod unpack;
