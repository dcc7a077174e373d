//! Pods: what is wanted, what is there, what to do next, and what to say about it.

pub mod backoff;
pub mod desired;
pub mod memory;
pub mod observed;
pub mod qos;
pub mod status;
pub mod step;
