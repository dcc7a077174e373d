//! What can go wrong between the upgrade request and the streams.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;

use crate::{protocol, spdy};

/// Why streams could not be set up or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unable to upgrade: missing upgrade headers in request")]
    NotUpgrade,
    #[error("unable to upgrade: unable to negotiate protocol: client supports {client:?}, server accepts {server:?}")]
    Protocol { client: Vec<String>, server: Vec<&'static str> },
    #[error("{0}")]
    BadRequest(String),
    #[error("timed out waiting for the client to {0}")]
    Timeout(&'static str),
    #[error("the connection ended before {0}")]
    Ended(&'static str),
    #[error("upgrading the connection")]
    Upgrade(#[source] hyper::Error),
    #[error("sending the upgrade request")]
    Request(#[source] hyper::Error),
    #[error("speaking SPDY/3.1")]
    Spdy(#[from] spdy::Error),
    #[error("speaking WebSocket")]
    WebSocket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("{attempt}")]
    Io { attempt: &'static str, source: std::io::Error },
}

impl Error {
    /// The HTTP answer to a request that cannot be upgraded.
    #[must_use]
    pub fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{self}\n")));
        *response.status_mut() = match self {
            Self::NotUpgrade | Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Protocol { .. } => StatusCode::FORBIDDEN,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Self::Protocol { server, .. } = self {
            for name in server {
                headers.append(protocol::ACCEPTED_VERSIONS, header::HeaderValue::from_static(name));
            }
        }
        response
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for Error {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}
