//! Making responses.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::body::Body;
use crate::error::Error;
use crate::pipeline::{Exchange, Next, Response};
use crate::{codec, negotiate};

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A response with a body at hand.
#[must_use]
pub fn full(status: StatusCode, media: HeaderValue, body: impl Into<Bytes>) -> Response {
    with(status, media, Body::full(body))
}

#[must_use]
pub fn with(status: StatusCode, media: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

/// Runs the rest of the pipeline; a failure becomes its response, so that the caller can add headers.
pub async fn settle(exchange: Exchange, next: Next<'_>) -> Response {
    let accept = exchange.parts.headers.get(header::ACCEPT).cloned();
    match next.run(exchange).await {
        Ok(response) => response,
        Err(error) => failure(&error, accept.as_ref()),
    }
}

/// A failure as its `Status`, in the media type that the caller accepts.
#[must_use]
pub fn failure(error: &Error, accept: Option<&HeaderValue>) -> Response {
    let status = error.status();
    let media = negotiate::of_failure(accept);
    let mut response = match codec::status(status, media) {
        Ok(body) => full(error.code(), media.header(), body),
        Err(_) => full(error.code(), JSON, error.to_json()),
    };
    let retry = status.details.as_ref().and_then(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%error, "a request failed");
    }
    response
}
