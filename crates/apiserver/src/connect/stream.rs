//! `pods/exec`, `pods/attach` and `pods/portforward`: streams between a client and the node, passed on as they are.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use super::{Nodes, Query, QueryWriter, container, pod};
use crate::access::{Attributes, Authorizer, Decision};
use crate::endpoints::Connector;
use crate::error::{Error, Result};
use crate::pipeline::{Exchange, Response, refusal};
use crate::request::{RequestInfo, Target, Verb};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Exec,
    Attach,
    PortForward,
}

/// Streams into a pod.
pub struct Streams {
    pub kind: Stream,
    pub nodes: Arc<Nodes>,
    /// Asked whether clients that use `GET`, which WebSocket demands, may create what they open.
    pub authorizer: Arc<dyn Authorizer>,
}

#[async_trait]
impl Connector for Streams {
    async fn connect(&self, exchange: Exchange) -> Result<Response> {
        let target = exchange.info.target.clone().ok_or_else(Error::no_such_path)?;
        if ![Method::GET, Method::POST].contains(&exchange.parts.method) {
            return Err(Error::method_not_allowed());
        }
        self.authorize(&exchange, &target).await?;
        let query = Query::of(&exchange.parts.uri);
        let pod = pod(&self.nodes.objects, &target).await?;
        let path = self.path(&target, &query, &pod)?;
        let node = pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
        if node.is_empty() {
            return Err(Error::bad_request(format!("pod {} does not have a host assigned", target.name)));
        }
        if !streaming::is_upgrade(&exchange.parts.headers) {
            return Err(Error::bad_request("Upgrade request required"));
        }
        let connected = self.nodes.kubelet(node).await?;
        self.nodes.upgrade(connected, exchange, &path).await
    }
}

impl Streams {
    /// Opening a stream creates something, whatever the method.
    async fn authorize(&self, exchange: &Exchange, target: &Target) -> Result<()> {
        if exchange.info.verb == Verb::Create {
            return Ok(());
        }
        let path = exchange.info.path.clone();
        let info = RequestInfo { verb: Verb::Create, path, target: Some(target.clone()) };
        match self.authorizer.authorize(&Attributes::of(&exchange.user, &info)).await {
            Decision::Allow => Ok(()),
            Decision::Deny(why) | Decision::NoOpinion(why) => Err(refusal(&exchange.user, &info, &why)),
        }
    }

    /// The kubelet's path for this stream.
    fn path(&self, target: &Target, query: &Query, pod: &Value) -> Result<String> {
        let (namespace, name) = (&target.namespace, &target.name);
        let mut passed = QueryWriter::default();
        if self.kind == Stream::PortForward {
            for port in query.all("port").chain(query.all("ports")).flat_map(|list| list.split(',')) {
                let valid = port.parse::<u16>().is_ok_and(|port| port > 0);
                if !valid {
                    return Err(Error::bad_request(format!(
                        "invalid port {port:?}: a port is a number from 1 to 65535"
                    )));
                }
                passed.add("port", port);
            }
            return Ok(format!("/portForward/{namespace}/{name}{}", passed.0));
        }
        let container = container::choose(pod, query.get("container"))?;
        for (asked, sent) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
            if query.is_set(asked) {
                passed.add(sent, "1");
            }
        }
        let verb = match self.kind {
            Stream::Attach => "attach",
            _ => {
                query.all("command").for_each(|word| passed.add("command", word));
                "exec"
            }
        };
        Ok(format!("/{verb}/{namespace}/{name}/{container}{}", passed.0))
    }
}
