//! Subresources that reach the node a pod runs on: logs, streams into containers, forwarded ports, and proxies.

mod container;
mod log;
mod node;
mod proxy;
mod stream;

use std::sync::Arc;

use http::Uri;
use serde_json::Value;

use crate::access::Authorizer;
use crate::endpoints::Endpoints;
use crate::error::{About, Error, Result};
use crate::objects::Objects;
use crate::request::{Target, query};

pub use log::Logs;
pub use node::Nodes;
pub use proxy::{NodeProxy, PodProxy, ServiceProxy};
pub use stream::{Stream, Streams};

const PODS: About<'_> = About { group: "", resource: "pods" };

/// Adds all of them.
#[must_use]
pub fn endpoints(endpoints: Endpoints, nodes: &Arc<Nodes>, authorizer: &Arc<dyn Authorizer>) -> Endpoints {
    let stream = |kind| Streams { kind, nodes: Arc::clone(nodes), authorizer: Arc::clone(authorizer) };
    endpoints
        .connector("", "pods", "log", Logs(Arc::clone(nodes)))
        .connector("", "pods", "exec", stream(Stream::Exec))
        .connector("", "pods", "attach", stream(Stream::Attach))
        .connector("", "pods", "portforward", stream(Stream::PortForward))
        .connector("", "pods", "proxy", PodProxy(Arc::clone(nodes)))
        .connector("", "services", "proxy", ServiceProxy(Arc::clone(nodes)))
        .connector("", "nodes", "proxy", NodeProxy(Arc::clone(nodes)))
}

/// The pod that a request names. One that was created a moment ago is waited for.
async fn pod(objects: &Objects, target: &Target) -> Result<Value> {
    let get = || objects.value("", "pods", &target.namespace, &target.name);
    if let Some(pod) = get() {
        return Ok(pod);
    }
    objects.fresh().await?;
    get().ok_or_else(|| Error::not_found(PODS, &target.name))
}

/// The parameters of a request.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(uri: &Uri) -> Self {
        Self(query(uri))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Present means true unless it says otherwise.
    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !matches!(value, "0" | "false" | "False" | "FALSE" | "f" | "F"))
    }
}

/// Writes a query; everything but letters, digits and a few marks is encoded.
#[derive(Default)]
struct QueryWriter(String);

impl QueryWriter {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                self.0.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}
