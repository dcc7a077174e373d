//! Resources and subresources that the generic registry does not serve: reviews, tokens, streams to nodes.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::error::Result;
use crate::pipeline::{Exchange, Response, Warnings};
use crate::request::Target;
use crate::user::User;

/// A request to a computed resource, without its object.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub target: &'a Target,
    pub user: &'a User,
    pub dry_run: bool,
    pub warnings: &'a Warnings,
}

/// A resource that is computed, not stored: an object is posted, another comes back (`tokenreviews`,
/// `serviceaccounts/token`).
#[async_trait]
pub trait Computed: Send + Sync {
    /// `object` is decoded, defaulted and checked for unknown fields, in the version of the request.
    ///
    /// # Errors
    /// Whatever the caller is to see.
    async fn create(&self, call: Call<'_>, object: Value) -> Result<Value>;
}

/// A subresource that answers requests itself, whatever their method, upgrades included (`pods/exec`, `nodes/proxy`).
///
/// Authorization has passed, and admission plugins have been asked with `Operation::Connect`.
#[async_trait]
pub trait Connector: Send + Sync {
    /// # Errors
    /// Whatever the caller is to see.
    async fn connect(&self, exchange: Exchange) -> Result<Response>;
}

/// Who serves what, by group, resource and subresource.
#[derive(Default, Clone)]
pub struct Endpoints {
    computed: HashMap<Place, Arc<dyn Computed>>,
    connectors: HashMap<Place, Arc<dyn Connector>>,
    paths: HashMap<&'static str, Arc<dyn Connector>>,
}

type Place = (&'static str, &'static str, &'static str);

impl Endpoints {
    #[must_use]
    pub fn computed(
        mut self,
        group: &'static str,
        resource: &'static str,
        subresource: &'static str,
        endpoint: impl Computed + 'static,
    ) -> Self {
        self.computed.insert((group, resource, subresource), Arc::new(endpoint));
        self
    }

    #[must_use]
    pub fn connector(
        mut self,
        group: &'static str,
        resource: &'static str,
        subresource: &'static str,
        endpoint: impl Connector + 'static,
    ) -> Self {
        self.connectors.insert((group, resource, subresource), Arc::new(endpoint));
        self
    }

    /// A path that names no resource: `/openid/v1/jwks`.
    #[must_use]
    pub fn path(mut self, path: &'static str, endpoint: impl Connector + 'static) -> Self {
        self.paths.insert(path, Arc::new(endpoint));
        self
    }

    #[must_use]
    pub(crate) fn find_path(&self, path: &str) -> Option<Arc<dyn Connector>> {
        self.paths.get(path).cloned()
    }

    #[must_use]
    pub(crate) fn find_computed(&self, target: &Target) -> Option<Arc<dyn Computed>> {
        self.computed.get(&(&*target.group, &*target.resource, &*target.subresource)).cloned()
    }

    #[must_use]
    pub(crate) fn find_connector(&self, target: &Target) -> Option<Arc<dyn Connector>> {
        self.connectors.get(&(&*target.group, &*target.resource, &*target.subresource)).cloned()
    }
}
