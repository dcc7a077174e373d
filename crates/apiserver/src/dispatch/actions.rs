//! Subresources that make something happen: bindings and evictions.

use http::StatusCode;
use object::field::{Error as FieldError, Path};
use serde_json::Value;

use super::objects::success;
use super::{Ask, Dispatch, unserved};
use crate::error::{Error, Result};
use crate::parameters::{DeleteOptions, WriteOptions};
use crate::pipeline::Response;
use crate::registry::Scope;
use crate::request::Target;

impl Dispatch {
    /// A subresource that is posted to.
    pub(super) async fn action(&self, ask: &Ask<'_>) -> Result<Response> {
        let target = ask.scope.target;
        match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
            ("", "pods", "binding") => self.bind(ask, &target.name).await,
            ("", "pods", "eviction") => self.evict(ask).await,
            _ => Err(unserved(ask)),
        }
    }

    /// `POST /api/v1/namespaces/<ns>/bindings`: the older way, where the body names the pod.
    pub(super) async fn legacy_binding(&self, ask: &Ask<'_>) -> Result<Response> {
        let pods = self.registry.table.snapshot().resource("", "v1", "pods").ok_or_else(Error::no_such_path)?;
        let options = WriteOptions::parse(&ask.query)?;
        let binding = ask.read_body(&options)?;
        let name = binding["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let target =
            Target { resource: "pods".to_owned(), subresource: "binding".to_owned(), name, ..ask.scope.target.clone() };
        let scope = Scope {
            stored: pods.ty().clone(),
            resource: self.registry.resource_of(&pods.resource),
            strategy: crate::strategy::of("", "Pod"),
            target: &target,
            served: pods,
            agent: ask.scope.agent.clone(),
            ..ask.scope
        };
        self.registry.bind(&scope, &binding, &options).await?;
        self.bound(ask)
    }

    async fn bind(&self, ask: &Ask<'_>, pod: &str) -> Result<Response> {
        let options = WriteOptions::parse(&ask.query)?;
        let binding = ask.read_body(&options)?;
        let name = binding["metadata"]["name"].as_str().unwrap_or_default();
        if !name.is_empty() && name != pod {
            return Err(Error::bad_request("name in URL does not match name in Binding object"));
        }
        self.registry.bind(&ask.scope, &binding, &options).await?;
        self.bound(ask)
    }

    fn bound(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        ask.document(StatusCode::CREATED, &view, &success(StatusCode::CREATED))
    }

    /// Evicts a pod. Disruption budgets are not looked at yet: this is a delete with the eviction's options.
    async fn evict(&self, ask: &Ask<'_>) -> Result<Response> {
        let options = WriteOptions::parse(&ask.query)?;
        let eviction = ask.read_body(&options)?;
        let name = eviction["metadata"]["name"].as_str().unwrap_or_default();
        if name != ask.scope.target.name {
            return Err(Error::bad_request("name in URL does not match name in Eviction object"));
        }
        let unsafe_option = "ignoreStoreReadErrorWithClusterBreakingPotential";
        if eviction["deleteOptions"][unsafe_option] == true {
            let path = Path::new("deleteOptions").child(unsafe_option);
            let text = "can not be set for pod eviction, try after removing the option";
            let error = FieldError::invalid(&path, true, text);
            return Err(Error::invalid("policy", "Eviction", name, &error.into()));
        }
        let body = match &eviction["deleteOptions"] {
            Value::Null => Vec::new(),
            options => serde_json::to_vec(options).map_err(Error::internal)?,
        };
        let mut delete = DeleteOptions::parse(&ask.query, &body)?;
        delete.dry_run |= options.dry_run;
        self.registry.delete(&ask.scope, &delete).await?;
        let view = ask.view(&self.registry, false)?;
        ask.document(StatusCode::CREATED, &view, &success(StatusCode::CREATED))
    }
}
