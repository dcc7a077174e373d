//! The API server: one pipeline of layers, one generic registry over the resource table, one watch cache over the store.

pub mod access;
pub mod admit;
pub mod body;
pub mod cache;
pub mod endpoints;
pub mod error;
mod metrics;
pub mod objects;
pub mod pipeline;
pub mod request;
pub mod respond;
pub mod storage;
pub mod strategy;
pub mod user;

pub use access::{Attributes, Authenticator, Authorizer, Credentials, Decision};
pub use admit::{Admission, Admitted, Operation};
pub use error::{About, Error, Result};
pub use objects::Objects;
pub use user::{Peer, User};
