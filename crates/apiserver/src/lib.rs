//! The API server: one pipeline of layers, one generic registry over the resource table, one watch cache over the store.
//!
//! | what | where |
//! |---|---|
//! | starting one, the way in for roles of the same process | [`Server`], [`Options`], [`Handle`] |
//! | connections | `listen`, `handle` |
//! | the layers every request passes | [`pipeline`] |
//! | who may do what: the seams | [`access`], [`admit`] |
//! | the one route, and the paths beside it | `dispatch` |
//! | what every resource can do | `registry` |
//! | what some do differently | [`strategy`] |
//! | objects as bytes, events, watchers | [`cache`] |

pub mod access;
pub mod admission;
pub mod admit;
pub mod allocator;
pub mod authentication;
pub mod authorization;
pub mod body;
pub mod bootstrap;
pub mod cache;
mod codec;
mod compress;
pub mod connect;
mod dispatch;
mod documents;
pub mod endpoints;
pub mod error;
mod handle;
mod health;
mod lease;
mod listen;
mod metrics;
mod negotiate;
pub mod objects;
pub mod options;
mod parameters;
pub mod pipeline;
mod registry;
pub mod request;
pub mod respond;
pub mod security;
mod server;
pub mod storage;
pub mod strategy;
pub mod token;
pub mod user;
pub mod version;

pub use access::{Attributes, Authenticator, Authorizer, Credentials, Decision};
pub use admit::{Admission, Admitted, Operation};
pub use bootstrap::{Bootstrap, BootstrapError};
pub use error::{About, Error, Result};
pub use handle::{Connector, Handle};
pub use objects::Objects;
pub use options::{Limits, Listen, Options, Parts, Security};
pub use server::Server;
pub use user::{Peer, User};
