//! `pods/log`.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use object::field::{self, ErrorList, Path};
use serde_json::Value;

use super::{Nodes, Query, QueryWriter, container, pod};
use crate::body::Body;
use crate::endpoints::Connector;
use crate::error::{Error, Result};
use crate::pipeline::{Exchange, Response};
use crate::respond;

/// Bytes of a kubelet's refusal that are shown.
const REFUSAL: usize = 64 * 1024;

/// Streams the log of a container from its node.
pub struct Logs(pub Arc<Nodes>);

#[async_trait]
impl Connector for Logs {
    async fn connect(&self, exchange: Exchange) -> Result<Response> {
        let target = exchange.info.target.clone().ok_or_else(Error::no_such_path)?;
        let query = Query::of(&exchange.parts.uri);
        check(&query, &target.name)?;
        let pod = pod(&self.0.objects, &target).await?;
        let container = container::choose(&pod, query.get("container"))?;
        let node = pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
        if node.is_empty() {
            // Nothing has run yet.
            return Ok(respond::full(StatusCode::OK, respond::TEXT, Vec::new()));
        }
        let path = format!("/containerLogs/{}/{}/{container}{}", target.namespace, target.name, options(&query));
        let request = Request::get(path).body(Body::empty()).map_err(Error::internal)?;
        let connected = self.0.kubelet(node).await?;
        let response = self.0.send(connected, request).await?;
        if !response.status().is_success() {
            return Err(refusal(response, &target.name).await);
        }
        let mut answer = respond::with(StatusCode::OK, respond::TEXT, Body::wrap(response.into_body()));
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        Ok(answer)
    }
}

/// The options, as the kubelet reads them.
fn options(query: &Query) -> String {
    let mut passed = QueryWriter::default();
    for flag in ["follow", "previous", "timestamps"] {
        if query.is_set(flag) {
            passed.add(flag, "true");
        }
    }
    for name in ["sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"] {
        if let Some(value) = query.get(name).filter(|value| !value.is_empty()) {
            passed.add(name, value);
        }
    }
    passed.0
}

fn check(query: &Query, pod: &str) -> Result<()> {
    let mut errors = ErrorList::new();
    let mut at_least = |name: &str, least: i64, why: &str| -> Result<()> {
        let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(()) };
        let malformed = |_| Error::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        let value: i64 = text.parse().map_err(malformed)?;
        if value < least {
            errors.push(field::Error::invalid(&Path::new(name), value, why));
        }
        Ok(())
    };
    at_least("tailLines", 0, "must be greater than or equal to 0")?;
    at_least("limitBytes", 1, "must be greater than 0")?;
    at_least("sinceSeconds", 1, "must be greater than 0")?;
    if query.get("sinceSeconds").is_some() && query.get("sinceTime").is_some() {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(field::Error::forbidden(&Path::new("sinceSeconds"), why));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid("", "PodLogOptions", pod, &errors)) }
}

/// The kubelet's words as a status.
async fn refusal(response: http::Response<hyper::body::Incoming>, pod: &str) -> Error {
    let code = response.status();
    let body = http_body_util::Limited::new(response.into_body(), REFUSAL).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned()).unwrap_or_default();
    match code {
        StatusCode::BAD_REQUEST => Error::bad_request(text),
        StatusCode::NOT_FOUND => {
            let message = format!("the server could not find the requested resource ( pods/log {pod})");
            Error::new(code, "NotFound", if text.is_empty() { message } else { text })
        }
        _ => {
            let message = format!(
                "an error on the server ({text:?}) has prevented the request from succeeding ( pods/log {pod})"
            );
            Error::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
        }
    }
}
