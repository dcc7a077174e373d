//! What an API server needs to be told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use host::{Host, RoleError};
use schema::Table;
use store::Store;

use crate::access::{Authenticator, Authorizer};
use crate::admit::Admission;
use crate::bootstrap::Bootstrap;
use crate::endpoints::Endpoints;
use crate::objects::Objects;
use crate::storage::{Identity, Transform};

/// The options of [`crate::Server`]. [`Options::new`] has upstream's defaults.
pub struct Options {
    pub store: Arc<dyn Store>,
    /// Encryption at rest; [`Identity`] stores plain bytes.
    pub transform: Arc<dyn Transform>,
    /// The resource types; rows may be registered while the server runs.
    pub table: Arc<Table>,
    /// Where to listen, and with which certificate. Without a listener only in-memory clients are served.
    pub listen: Vec<Listen>,
    /// Where pods and other nodes reach this server: the endpoint of the `kubernetes` Service. `None` publishes none.
    pub advertise: Option<SocketAddr>,
    /// The address ranges of Services, the primary one first: `10.43.0.0/16`.
    pub service_cidrs: Vec<String>,
    /// Makes authentication, authorization, admission and the computed endpoints, once the cache can be read.
    pub security: Box<dyn FnOnce(Parts) -> Result<Security, RoleError> + Send>,
    /// Objects to be kept beside the server's own, in this order, after the namespaces.
    pub bootstrap: Vec<Box<dyn Bootstrap>>,
    pub limits: Limits,
}

/// One address to listen on.
#[derive(Clone)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Arc<rustls::ServerConfig>,
}

/// Bounds on what clients may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests served at once that change nothing.
    pub reading: usize,
    /// Requests served at once that change something.
    pub mutating: usize,
    /// How long a request may take that does not last by nature.
    pub request: Duration,
    /// The size of a request's body in bytes.
    pub body: usize,
    /// Connections open at once.
    pub connections: usize,
    /// How long a stopping server waits for requests that are being served.
    pub drain: Duration,
    /// How long Events are kept.
    pub event_ttl: Duration,
}

/// What security is built from.
pub struct Parts {
    pub objects: Objects,
    pub table: Arc<Table>,
    pub host: Host,
}

/// Who is let in, what they may do, what is refused or changed on the way, and what is answered by computing.
pub struct Security {
    pub authenticator: Arc<dyn Authenticator>,
    /// Whether callers that prove nothing get as far as authorization.
    pub anonymous: bool,
    pub authorizer: Arc<dyn Authorizer>,
    /// In upstream's order of plugins.
    pub admission: Vec<Arc<dyn Admission>>,
    pub endpoints: Endpoints,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reading: 400,
            mutating: 200,
            request: Duration::from_secs(60),
            body: 3 * 1024 * 1024,
            connections: 16_384,
            drain: Duration::from_secs(10),
            event_ttl: Duration::from_secs(3600),
        }
    }
}

impl Options {
    /// A server over `store` without listeners.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        security: impl FnOnce(Parts) -> Result<Security, RoleError> + Send + 'static,
    ) -> Self {
        Self {
            store,
            transform: Arc::new(Identity),
            table: Arc::new(Table::builtin()),
            listen: Vec::new(),
            advertise: None,
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            security: Box::new(security),
            bootstrap: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("advertise", &self.advertise)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
