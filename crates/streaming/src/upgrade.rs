//! The HTTP part of an upgrade, on both sides.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use host::{OnEnd, Tasks};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{Error, protocol};

/// How long the connection may take to switch after the response was handed over.
const SWITCH_LIMIT: Duration = Duration::from_secs(30);

/// An upgrade that was agreed to: send `response`, then drive `session` in a task of its own.
pub struct Accepted<T> {
    /// `101 Switching Protocols` with the negotiated protocol.
    pub response: Response<Full<Bytes>>,
    /// Ends when the connection has switched and the client has opened what it needs.
    pub session: BoxFuture<'static, Result<T, Error>>,
}

impl<T> std::fmt::Debug for Accepted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted").field("response", &self.response).finish_non_exhaustive()
    }
}

/// What a server answered to an upgrade request.
#[derive(Debug)]
pub enum Upgrade {
    /// It switched: its response head, and the connection.
    Switched { response: Response<()>, io: TokioIo<Upgraded> },
    /// It did not; the response is to be passed on or read.
    Refused(Response<Incoming>),
}

/// Whether the request asks for another protocol on its connection.
#[must_use]
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    protocol::upgrade_token(headers).is_some()
}

/// Sends `request`, which carries its own upgrade headers, over the fresh connection `io` and waits for the answer.
/// The connection is driven in a task of `tasks`.
pub async fn upgrade<I, B>(io: I, request: Request<B>, tasks: &Tasks) -> Result<Upgrade, Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(io));
    let (mut sender, connection) = handshake.await.map_err(Error::Request)?;
    tasks.spawn("upgraded client connection", OnEnd::Expected, async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "client connection ended");
        }
    });
    let mut response = sender.send_request(request).await.map_err(Error::Request)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Upgrade::Refused(response));
    }
    let upgraded = switched(hyper::upgrade::on(&mut response)).await?;
    Ok(Upgrade::Switched { response: response.map(|_| ()), io: upgraded })
}

/// Waits, bounded, for the connection to switch.
pub(crate) async fn switched(on: OnUpgrade) -> Result<TokioIo<Upgraded>, Error> {
    let upgraded = tokio::time::timeout(SWITCH_LIMIT, on).await.map_err(|_| Error::Timeout("switch protocols"))?;
    upgraded.map(TokioIo::new).map_err(Error::Upgrade)
}

/// `101` for SPDY with the chosen stream protocol, if the client offered any.
pub(crate) fn spdy_response(version: Option<&'static str>) -> Response<Full<Bytes>> {
    let version = version.map(|version| (protocol::STREAM_VERSION, HeaderValue::from_static(version)));
    switching(HeaderValue::from_static(protocol::SPDY), version)
}

/// `101` for WebSocket with the chosen subprotocol, if the client offered any.
pub(crate) fn websocket_response(
    headers: &HeaderMap,
    subprotocol: Option<&str>,
) -> Result<Response<Full<Bytes>>, Error> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    if version != Some(b"13") {
        return Err(Error::BadRequest("unsupported WebSocket version: the server speaks 13".into()));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| Error::BadRequest("the Sec-WebSocket-Key header is missing".into()))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| Error::BadRequest("the Sec-WebSocket-Key header is malformed".into()))?;
    let subprotocol = subprotocol.map(HeaderValue::from_str).transpose();
    let subprotocol =
        subprotocol.map_err(|_| Error::BadRequest("the Sec-WebSocket-Protocol header is malformed".into()))?;
    let subprotocol = subprotocol.map(|name| (header::SEC_WEBSOCKET_PROTOCOL, name));
    let mut response = switching(HeaderValue::from_static(protocol::WEBSOCKET), subprotocol);
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

fn switching(token: HeaderValue, extra: Option<(HeaderName, HeaderValue)>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, token);
    headers.extend(extra.map(|(name, value)| (Some(name), value)));
    response
}
