//! Paths that name no resource: discovery, OpenAPI, version, health, metrics.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::Dispatch;
use crate::body::Body;
use crate::documents::Document;
use crate::error::{Error, Result};
use crate::negotiate::{self, Discovery, Media};
use crate::parameters::Query;
use crate::pipeline::{Exchange, Response};
use crate::request::Verb;
use crate::{codec, compress, respond, version};

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
            [""] => Ok(plain(&self.documents.root())),
            ["api"] => self.versions(headers, true),
            ["apis"] => self.versions(headers, false),
            ["apis", group] => found(headers, self.documents.group(group)),
            ["api", version] => found(headers, self.documents.resources("", version)),
            ["apis", group, version] => found(headers, self.documents.resources(group, version)),
            ["version"] => Ok(plain(&version::info())),
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
        match negotiate::discovery(headers)? {
            Discovery::Legacy(media) => document(media, &self.documents.versions(of_core)),
            Discovery::Aggregated(media) => {
                let name = format!("{};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", media.as_str());
                let name = HeaderValue::from_str(&name).map_err(Error::internal)?;
                let mut response = cached(headers, &self.documents.aggregated(of_core, media)?, name);
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
                Ok(compress::answer(headers, response))
            }
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
    document(negotiate::document(headers)?, &value.ok_or_else(Error::no_such_path)?)
}

fn document(media: Media, value: &Value) -> Result<Response> {
    Ok(respond::full(StatusCode::OK, media.header(), codec::write(value, media)?))
}

/// What is no object of the API is JSON, whatever the caller accepts.
fn plain(value: &Value) -> Response {
    respond::full(StatusCode::OK, respond::JSON, value.to_string())
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
