//! One pipeline for every request: layers in upstream's order, each a value, around one endpoint.

mod access;
mod audit;
mod deadline;
mod fairness;
mod frame;
mod impersonation;
mod warnings;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

pub use access::{Authentication, Authorization, refusal};
pub use audit::{Audit, AuditInit};
pub use deadline::Deadline;
pub use fairness::{MaxInFlight, Slot};
pub use frame::{CacheControl, PanicRecovery, Tracking};
pub use impersonation::Impersonation;
pub use warnings::{WarningRecorder, Warnings};

use crate::body::Body;
use crate::error::Result;
use crate::request::RequestInfo;
use crate::user::{Peer, User};

pub type Response = http::Response<Body>;

/// A request on its way through the layers, with what they have found out about it.
#[derive(Debug)]
pub struct Exchange {
    /// Method, URI, headers, and in the extensions hyper's `OnUpgrade`.
    pub parts: http::request::Parts,
    pub body: Body,
    pub peer: Peer,
    pub info: Arc<RequestInfo>,
    /// Anonymous until [`Authentication`] has passed.
    pub user: Arc<User>,
    pub warnings: Warnings,
    /// When the answer must have begun; `None` for long-running requests.
    pub deadline: Option<Instant>,
    pub audit_id: String,
    /// Among the requests that are served at once; kept until the answer has been made.
    pub slot: Slot,
}

/// One concern of the pipeline.
#[async_trait]
pub trait Layer: Send + Sync {
    fn name(&self) -> &'static str;

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response>;
}

/// What stands at the end of the pipeline.
#[async_trait]
pub trait Endpoint: Send + Sync {
    async fn serve(&self, exchange: Exchange) -> Result<Response>;
}

/// The layers, outermost first, and the endpoint.
pub struct Pipeline {
    layers: Vec<Box<dyn Layer>>,
    endpoint: Arc<dyn Endpoint>,
}

/// The rest of the pipeline, as one layer sees it.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    layers: &'a [Box<dyn Layer>],
    endpoint: &'a dyn Endpoint,
}

impl Pipeline {
    #[must_use]
    pub fn new(layers: Vec<Box<dyn Layer>>, endpoint: Arc<dyn Endpoint>) -> Self {
        Self { layers, endpoint }
    }

    /// The names of the layers, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.layers.iter().map(|layer| layer.name())
    }

    /// Serves a request; failures become their `Status`.
    pub async fn serve(&self, exchange: Exchange) -> Response {
        let next = Next { layers: &self.layers, endpoint: &*self.endpoint };
        let accept = exchange.parts.headers.get(http::header::ACCEPT).cloned();
        match next.run(exchange).await {
            Ok(response) => response,
            Err(error) => crate::respond::failure(&error, accept.as_ref()),
        }
    }
}

impl<'a> Next<'a> {
    /// # Errors
    /// Whatever an inner layer or the endpoint answers with.
    pub async fn run(self, exchange: Exchange) -> Result<Response> {
        match self.layers.split_first() {
            Some((layer, layers)) => layer.call(exchange, Next { layers, ..self }).await,
            None => self.endpoint.serve(exchange).await,
        }
    }
}
