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

/// The protobuf form of OpenAPI v2.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

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
            ["openapi", "v2"] => self.openapi_v2(headers),
            ["openapi", "v3"] => Ok(cached(headers, &self.documents.openapi_index(), respond::JSON)),
            ["openapi", "v3", rest @ ..] => self.openapi(headers, &rest.join("/"), &query),
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

    /// A document of OpenAPI v3. Clients ask with the name of its content, as the index has it, and keep the answer; an
    /// old name leads to the new one.
    fn openapi(&self, headers: &HeaderMap, name: &str, query: &Query) -> Result<Response> {
        let document = self.documents.openapi(name).ok_or_else(Error::no_such_path)?;
        let Some(known) = query.get("hash").filter(|hash| !hash.is_empty()) else {
            return Ok(cached(headers, &document, respond::JSON));
        };
        if known != document.digest() {
            let location = format!("/openapi/v3/{name}?hash={}", document.digest());
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
            response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).map_err(Error::internal)?);
            return Ok(response);
        }
        let mut response = cached(headers, &document, respond::JSON);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        Ok(response)
    }

    fn openapi_v2(&self, headers: &HeaderMap) -> Result<Response> {
        let protobuf = negotiate::openapi_v2(headers)
            .ok_or_else(|| Error::not_acceptable(&["application/json", OPENAPI_PROTOBUF]))?;
        let media = if protobuf { HeaderValue::from_static(OPENAPI_PROTOBUF) } else { respond::JSON };
        Ok(cached(headers, &self.documents.openapi_v2(protobuf), media))
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
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &document.etag));
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let (body, packed) = document.content(negotiate::gzip(headers));
        let mut response = respond::full(StatusCode::OK, media, body);
        if packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&document.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static(document.varies()));
    response
}

/// Whether a list of names has this one, weak or strong.
fn names(tags: &HeaderValue, etag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.into_iter().any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
