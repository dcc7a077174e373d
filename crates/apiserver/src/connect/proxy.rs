//! `pods/proxy`, `services/proxy` and `nodes/proxy`: any request, passed on.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use serde_json::Value;

use super::node::{Connected, passed_on};
use super::{Nodes, PODS};
use crate::authentication::subprotocols_without_token;
use crate::body::Body;
use crate::endpoints::Connector;
use crate::error::{About, Error, Result};
use crate::pipeline::{Exchange, Response};
use crate::request::Target;

/// Passes requests on to a port of a pod.
pub struct PodProxy(pub Arc<Nodes>);
/// Passes requests on to a ready endpoint of a service.
pub struct ServiceProxy(pub Arc<Nodes>);
/// Passes requests on to a kubelet.
pub struct NodeProxy(pub Arc<Nodes>);

const SERVICES: About<'_> = About { group: "", resource: "services" };

#[async_trait]
impl Connector for PodProxy {
    async fn connect(&self, exchange: Exchange) -> Result<Response> {
        let target = exchange.info.target.clone().ok_or_else(Error::no_such_path)?;
        let named = Named::parse(&target.name)?;
        let pod = self.0.objects.value("", "pods", &target.namespace, named.name);
        let pod = pod.ok_or_else(|| Error::not_found(PODS, named.name))?;
        let address = pod.pointer("/status/podIP").and_then(Value::as_str).unwrap_or_default();
        if address.is_empty() {
            return Err(Error::bad_request("address not allowed"));
        }
        let port = match named.port {
            "" => first_port(&pod).unwrap_or(80),
            port => {
                port.parse().map_err(|_| Error::bad_request(format!("invalid port {port:?} of pod {}", named.name)))?
            }
        };
        let connected = self.0.plain(address, port).await?;
        forward(&self.0, connected, exchange, &target).await
    }
}

#[async_trait]
impl Connector for ServiceProxy {
    async fn connect(&self, exchange: Exchange) -> Result<Response> {
        let target = exchange.info.target.clone().ok_or_else(Error::no_such_path)?;
        let named = Named::parse(&target.name)?;
        let (address, port) = self.endpoint(&target, &named)?;
        let connected = self.0.plain(&address, port).await?;
        forward(&self.0, connected, exchange, &target).await
    }
}

#[async_trait]
impl Connector for NodeProxy {
    async fn connect(&self, exchange: Exchange) -> Result<Response> {
        let target = exchange.info.target.clone().ok_or_else(Error::no_such_path)?;
        let name = target.name.trim_start_matches("https:").split(':').next().unwrap_or_default();
        let connected = self.0.kubelet(name).await?;
        forward(&self.0, connected, exchange, &target).await
    }
}

impl ServiceProxy {
    /// A ready endpoint of the service's port.
    fn endpoint(&self, target: &Target, named: &Named<'_>) -> Result<(String, u16)> {
        let objects = &self.0.objects;
        let service = objects.value("", "services", &target.namespace, named.name);
        let service = service.ok_or_else(|| Error::not_found(SERVICES, named.name))?;
        let none = |why: String| Error::service_unavailable(why);
        let port = service_port(&service, named.port)
            .ok_or_else(|| none(format!("no service port {:?} found for service {:?}", named.port, named.name)))?;
        let slices = objects.list("discovery.k8s.io", "endpointslices", &target.namespace);
        let slices = slices.iter().filter(|slice| slice.label("kubernetes.io/service-name") == Some(named.name));
        let found = slices.map(|slice| slice.value()).find_map(|slice| ready_endpoint(&slice, &port));
        found.ok_or_else(|| none(format!("no endpoints available for service {:?}", named.name)))
    }
}

/// `name`, `name:port`, `http:name:port`, `http:name:`.
struct Named<'a> {
    name: &'a str,
    port: &'a str,
}

impl<'a> Named<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [name] => Ok(Self { name, port: "" }),
            [name, port] | ["" | "http", name, port] => Ok(Self { name, port }),
            ["https", ..] => Err(Error::bad_request("proxying over https to pods and services is not supported")),
            _ => Err(Error::bad_request(format!("invalid service request {text:?}"))),
        }
    }
}

/// The name of the service's port that is asked for, by name or number; without one, the only port.
fn service_port(service: &Value, wanted: &str) -> Option<String> {
    let ports = service.pointer("/spec/ports")?.as_array()?;
    let name = |port: &Value| port.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if wanted.is_empty() {
        return match ports.as_slice() {
            [only] => Some(name(only)),
            several => several.iter().map(name).find(String::is_empty),
        };
    }
    let number = wanted.parse::<u64>().ok();
    let matches = |port: &&Value| name(port) == wanted || number.is_some() && port["port"].as_u64() == number;
    ports.iter().find(matches).map(name)
}

fn ready_endpoint(slice: &Value, port: &str) -> Option<(String, u16)> {
    let ports = slice.get("ports")?.as_array()?;
    let named = ports.iter().find(|known| known.get("name").and_then(Value::as_str).unwrap_or_default() == port)?;
    let number = u16::try_from(named.get("port")?.as_u64()?).ok()?;
    let endpoints = slice.get("endpoints")?.as_array()?;
    let ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
    let address = endpoints.iter().find(ready)?.pointer("/addresses/0")?.as_str()?;
    Some((address.to_owned(), number))
}

fn first_port(pod: &Value) -> Option<u16> {
    let port = pod.pointer("/spec/containers/0/ports/0/containerPort")?.as_u64()?;
    u16::try_from(port).ok()
}

/// Sends the request on, to what follows `/proxy` in its path.
async fn forward(nodes: &Nodes, to: Connected, exchange: Exchange, target: &Target) -> Result<Response> {
    let query = exchange.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = if target.rest.is_empty() { "/" } else { &target.rest };
    let path = format!("{path}{query}");
    if streaming::is_upgrade(&exchange.parts.headers) {
        return nodes.upgrade(to, exchange, &path).await;
    }
    if target.rest.is_empty() && exchange.parts.method == http::Method::GET {
        return redirect(&exchange);
    }
    let request = Request::builder().method(exchange.parts.method).uri(path).body(exchange.body);
    let mut request = request.map_err(Error::internal)?;
    *request.headers_mut() = end_to_end(&exchange.parts.headers);
    Ok(passed_on(nodes.send(to, request).await?))
}

/// Relative links work only below a slash.
fn redirect(exchange: &Exchange) -> Result<Response> {
    let query = exchange.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/{query}", exchange.parts.uri.path());
    let response = http::Response::builder().status(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, location);
    response.body(Body::empty()).map_err(Error::internal)
}

/// The headers that are for the other end: not those of this connection, and no credentials.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    const HOPS: [HeaderName; 8] = [
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::SEC_WEBSOCKET_PROTOCOL,
    ];
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let kept = headers.iter().filter(|(name, _)| {
        !HOPS.contains(name)
            && !named.iter().any(|hop| hop == name.as_str())
            && !name.as_str().starts_with("impersonate-")
    });
    let mut passed: HeaderMap = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let protocols = subprotocols_without_token(headers);
    if let Ok(value) = http::HeaderValue::from_str(&protocols)
        && !protocols.is_empty()
    {
        passed.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    passed
}
