//! The requesting end of exec, attach and port-forward.

mod exec;
mod forward;

pub use exec::{Session, exec_request, exec_spdy, exec_websocket};
pub use forward::{Connection, Forwarder, forward_request};

use http::{HeaderValue, Request, header, request};

use crate::protocol;

/// What carries the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Spdy,
    WebSocket,
}

/// The upgrade headers of a request for `version` over `carrier`.
fn upgrade_headers(builder: request::Builder, carrier: Carrier, version: &'static str) -> request::Builder {
    let builder = builder.header(header::CONNECTION, "Upgrade");
    let version = HeaderValue::from_static(version);
    match carrier {
        Carrier::Spdy => builder.header(header::UPGRADE, protocol::SPDY).header(protocol::STREAM_VERSION, version),
        Carrier::WebSocket => builder
            .header(header::UPGRADE, protocol::WEBSOCKET)
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, tokio_tungstenite::tungstenite::handshake::client::generate_key())
            .header(header::SEC_WEBSOCKET_PROTOCOL, version),
    }
}

fn builder(method: http::Method, uri: &str) -> request::Builder {
    Request::builder().method(method).uri(uri)
}
