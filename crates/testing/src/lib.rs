//! What tests share: in-process clusters on virtual time, real clusters, images, registries, network namespaces.
#![expect(clippy::print_stderr, reason = "tests talk to the person who runs them")]

pub mod cluster;
pub mod image;
pub mod machine;
pub mod registry;
pub mod roles;
pub mod traces;

pub use cluster::{Cluster, Printed};
pub use machine::Machine;
pub use roles::Roles;
pub use traces::Traces;
