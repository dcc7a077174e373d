//! What carries streams: WebSocket, SPDY, and SPDY as a kubectl speaks it that knows nothing else.

use testing::Cluster;

use super::Kubectl;
use crate::program::installed;

pub(super) struct Carrier<'a> {
    pub name: &'static str,
    pub kubectl: Kubectl<'a>,
}

const WEBSOCKET: &[(&str, &str)] =
    &[("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true"), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", "true")];
const SPDY: &[(&str, &str)] =
    &[("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false"), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")];

pub(super) fn all(cluster: &Cluster) -> Vec<Carrier<'_>> {
    let namespace = "kubectl-streams";
    let carrier =
        |name, environment, program| Carrier { name, kubectl: Kubectl { cluster, namespace, program, environment } };
    let mut carriers = vec![carrier("over WebSocket", WEBSOCKET, None), carrier("over SPDY", SPDY, None)];
    let old = installed("old/usr/bin/kubectl", "kubectl 1.20");
    carriers.extend(old.map(|program| carrier("kubectl 1.20", SPDY, Some(program))));
    carriers
}

impl Kubectl<'_> {
    /// The HTTP method that opens streams: WebSocket demands GET.
    pub(super) fn stream_method(&self) -> &'static str {
        if self.environment == WEBSOCKET { "GET" } else { "POST" }
    }
}
