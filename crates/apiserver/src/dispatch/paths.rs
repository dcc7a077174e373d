//! Paths that name no resource: discovery, OpenAPI, version, health, metrics.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::Dispatch;
use crate::body::Body;
use crate::documents::Document;
use crate::error::{Error, Result};
use crate::negotiate;
use crate::parameters::Query;
use crate::pipeline::{Exchange, Response};
use crate::request::Verb;
use crate::{codec, respond, version};

const AGGREGATED: HeaderValue =
    HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

impl Dispatch {
    pub(super) async fn path(&self, exchange: Exchange) -> Result<Response> {
        let path = exchange.info.path.clone();
        if let Some(connector) = self.endpoints.find_path(&path) {
            return connector.connect(exchange).await;
        }
        if !matches!(exchange.info.verb, Verb::Get | Verb::Head) {
            return Err(Error::method_not_allowed());
        }
        let headers = &exchange.parts.headers;
        let query = Query::of(&exchange.parts.uri);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let response = match parts.as_slice() {
            [""] => document(headers, &self.documents.root(), None),
            ["api"] => self.versions(headers, true),
            ["apis"] => self.versions(headers, false),
            ["apis", group] => found(headers, self.documents.group(group)),
            ["api", version] => found(headers, self.documents.resources("", version)),
            ["apis", group, version] => found(headers, self.documents.resources(group, version)),
            ["version"] => document(headers, &version::info(), None),
            ["openapi", "v3"] => self.openapi(headers, None),
            ["openapi", "v3", rest @ ..] => self.openapi(headers, Some(rest)),
            ["metrics"] => Ok(self.metrics()),
            ["healthz" | "livez" | "readyz", check @ ..] => {
                self.health.answer(parts[0], check.first().copied(), &query)
            }
            _ => Err(Error::no_such_path()),
        }?;
        Ok(if exchange.parts.method == Method::HEAD { response.map(|_| Body::empty()) } else { response })
    }

    /// `/api` and `/apis`, in the form that is accepted.
    fn versions(&self, headers: &HeaderMap, of_core: bool) -> Result<Response> {
        match negotiate::aggregated(headers) {
            Some(true) => Ok(cached(headers, &self.documents.aggregated(of_core), AGGREGATED)),
            Some(false) => document(headers, &self.documents.versions(of_core), None),
            None => Err(Error::not_acceptable(&["application/json"])),
        }
    }

    fn openapi(&self, headers: &HeaderMap, rest: Option<&[&str]>) -> Result<Response> {
        let found = match rest {
            None => Some(self.documents.openapi_index()),
            Some(["api", version]) => self.documents.openapi("", version),
            Some(["apis", group, version]) => self.documents.openapi(group, version),
            Some(_) => None,
        };
        let document = found.ok_or_else(Error::no_such_path)?;
        Ok(cached(headers, &document, respond::JSON))
    }

    fn metrics(&self) -> Response {
        let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        respond::full(StatusCode::OK, media, self.metrics.render())
    }
}

fn found(headers: &HeaderMap, value: Option<Value>) -> Result<Response> {
    document(headers, &value.ok_or_else(Error::no_such_path)?, None)
}

/// A document in JSON, or YAML for those who accept nothing else.
fn document(headers: &HeaderMap, value: &Value, etag: Option<&str>) -> Result<Response> {
    let form = negotiate::form(headers, "", false)?;
    let (media, body) = if form == crate::registry::Form::Yaml {
        (respond::YAML, codec::to_yaml(value))
    } else {
        (respond::JSON, Bytes::from(serde_json::to_vec(value).map_err(Error::internal)?))
    };
    let mut response = respond::full(StatusCode::OK, media, body);
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// A document that clients keep: with its name, or nothing when they have it.
fn cached(headers: &HeaderMap, document: &Document, media: HeaderValue) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tag| tag == document.etag.as_str());
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        respond::full(StatusCode::OK, media, document.body.clone())
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&document.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}
