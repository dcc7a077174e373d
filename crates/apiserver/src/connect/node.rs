//! Connections to nodes and pods.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use host::{OnEnd, Tasks};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use streaming::{Duplex, Upgrade};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::authentication::subprotocols_without_token;
use crate::body::Body;
use crate::error::{About, Error, Result};
use crate::objects::Objects;
use crate::pipeline::{Exchange, Response};

/// Where kubelets listen when their node does not say.
const KUBELET_PORT: u16 = 10250;
/// The kinds of addresses, best first.
const ADDRESS_TYPES: [&str; 3] = ["InternalIP", "ExternalIP", "Hostname"];
const CONNECT: Duration = Duration::from_secs(10);

/// Reaches kubelets, with a certificate that they know, and pods.
pub struct Nodes {
    pub(super) objects: Objects,
    tls: TlsConnector,
    tasks: Tasks,
}

/// An open connection and the authority that requests on it name.
pub(super) struct Connected {
    pub(super) io: Duplex,
    pub(super) authority: String,
}

impl Nodes {
    /// `tls` verifies kubelets and shows them the server's client certificate.
    #[must_use]
    pub fn new(objects: Objects, mut tls: ClientConfig, tasks: Tasks) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { objects, tls: TlsConnector::from(Arc::new(tls)), tasks }
    }

    /// A connection to the kubelet of a node.
    pub(super) async fn kubelet(&self, name: &str) -> Result<Connected> {
        let node = self.objects.value("", "nodes", "", name);
        let node = node.ok_or_else(|| Error::not_found(About { group: "", resource: "nodes" }, name))?;
        let (address, port) = endpoint(&node).ok_or_else(|| {
            Error::internal(format!("no preferred addresses found; known addresses of node {name:?}: none"))
        })?;
        let stream = tcp(&address, port).await?;
        let server = ServerName::try_from(address.clone());
        let server = server.map_err(|error| Error::internal(format!("the address of node {name:?}: {error}")))?;
        let secured = tokio::time::timeout(CONNECT, self.tls.connect(server, stream)).await;
        let failed = |why: String| unreachable_at(&address, port, &why);
        let secured = secured.map_err(|_| failed("TLS handshake timeout".into()))?;
        let io = secured.map_err(|error| failed(format!("tls: {error}")))?;
        Ok(Connected { io: Box::new(io), authority: authority(&address, port) })
    }

    /// A connection to an address in the pod network.
    pub(super) async fn plain(&self, address: &str, port: u16) -> Result<Connected> {
        let io = Box::new(tcp(address, port).await?);
        Ok(Connected { io, authority: authority(address, port) })
    }

    /// Sends a request that is answered with a plain response.
    pub(super) async fn send(&self, to: Connected, mut request: Request<Body>) -> Result<http::Response<Incoming>> {
        set_host(request.headers_mut(), &to.authority);
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(to.io)).await;
        let failed = |error: hyper::Error| unavailable(&to.authority, &error);
        let (mut sender, connection) = handshake.map_err(failed)?;
        let shutdown = self.tasks.shutdown();
        self.tasks.spawn("node connection", OnEnd::Expected, async move {
            if let Some(Err(error)) = shutdown.run_until_cancelled(connection).await {
                tracing::debug!(%error, "a connection to a node ended");
            }
        });
        sender.send_request(request).await.map_err(failed)
    }

    /// Passes an upgrade on to `path` of the other end, and then bytes in both directions. What the other end answers
    /// instead of switching is answered here too.
    pub(super) async fn upgrade(&self, to: Connected, exchange: Exchange, path: &str) -> Result<Response> {
        let mut parts = exchange.parts;
        let client = parts.extensions.remove::<OnUpgrade>();
        let client = client.ok_or_else(|| Error::bad_request("Upgrade request required"))?;
        let request = Request::builder().method(parts.method).uri(path).body(Body::empty());
        let mut request = request.map_err(Error::internal)?;
        *request.headers_mut() = upgrade_headers(&parts.headers);
        set_host(request.headers_mut(), &to.authority);
        let answer = streaming::upgrade(to.io, request, &self.tasks).await;
        let answer = answer.map_err(|error| unavailable(&to.authority, &error))?;
        let (response, node) = match answer {
            Upgrade::Refused(response) => return Ok(passed_on(response)),
            Upgrade::Switched { response, io } => (response, io),
        };
        let shutdown = self.tasks.shutdown();
        self.tasks.spawn("spliced stream", OnEnd::Expected, async move {
            let spliced = async {
                let client = client.await.map_err(std::io::Error::other)?;
                streaming::splice(TokioIo::new(client), node).await
            };
            if let Some(Err(error)) = shutdown.run_until_cancelled(spliced).await {
                tracing::debug!(%error, "a stream between a client and a node broke");
            }
        });
        Ok(response.map(|()| Body::empty()))
    }
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nodes")
    }
}

/// Where a node's kubelet is.
fn endpoint(node: &Value) -> Option<(String, u16)> {
    let addresses = node.pointer("/status/addresses")?.as_array()?;
    let of_type = |kind: &&str| addresses.iter().find(|address| address["type"] == **kind)?.get("address")?.as_str();
    let address = ADDRESS_TYPES.iter().find_map(of_type)?;
    let port = node.pointer("/status/daemonEndpoints/kubeletEndpoint/Port").and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0).unwrap_or(KUBELET_PORT);
    Some((address.to_owned(), port))
}

async fn tcp(address: &str, port: u16) -> Result<TcpStream> {
    let failed = |why: &str| unreachable_at(address, port, why);
    match tokio::time::timeout(CONNECT, TcpStream::connect((address, port))).await {
        Ok(Ok(stream)) => {
            // Latency of small writes; a socket that cannot do this works all the same.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Err(_) => Err(failed("i/o timeout")),
    }
}

/// The words of upstream's dialer, which its users know.
fn unreachable_at(address: &str, port: u16, why: &str) -> Error {
    unavailable_text(format!("dial tcp {}: {why}", authority(address, port)))
}

fn unavailable(authority: &str, error: &dyn std::error::Error) -> Error {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    unavailable_text(format!("talking to {authority}: {error}{cause}"))
}

fn unavailable_text(why: String) -> Error {
    let message = format!("error trying to reach service: {why}");
    Error::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
}

fn authority(address: &str, port: u16) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{address}:{port}"),
    }
}

fn set_host(headers: &mut HeaderMap, authority: &str) {
    if let Ok(host) = HeaderValue::from_str(authority) {
        headers.insert(header::HOST, host);
    }
}

/// What the other end needs to switch; never the caller's credentials.
fn upgrade_headers(headers: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for (name, value) in headers {
        let wanted = [header::CONNECTION, header::UPGRADE, header::USER_AGENT, header::ORIGIN].contains(name)
            || name.as_str().starts_with("sec-websocket-")
            || name.as_str() == "x-stream-protocol-version";
        if wanted && name != header::SEC_WEBSOCKET_PROTOCOL {
            passed.append(name.clone(), value.clone());
        }
    }
    let protocols = subprotocols_without_token(headers);
    if let Ok(value) = HeaderValue::from_str(&protocols)
        && !protocols.is_empty()
    {
        passed.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    passed
}

/// A response of the other end as one of ours.
pub(super) fn passed_on(response: http::Response<Incoming>) -> Response {
    let (mut parts, body) = response.into_parts();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::wrap(body))
}
