//! This node in the API: its registration, its status, its heartbeat.

pub mod lease;
pub mod machine;
pub mod pressure;
pub mod register;
pub mod status;
