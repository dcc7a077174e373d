//! The requesting end of port-forward.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use host::Tasks;
use http::{Method, Request};
use http_body_util::Empty;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Carrier, builder, upgrade_headers};
use crate::exec::spawn_driver;
use crate::spdy::{self, Headers, Side, connect};
use crate::{Duplex, Error, Reader, Tunnel, protocol};

/// The request that starts port-forwarding; over WebSocket, SPDY is tunnelled.
pub fn forward_request(uri: &str, carrier: Carrier) -> Result<Request<Empty<Bytes>>, http::Error> {
    let (method, version) = match carrier {
        Carrier::Spdy => (Method::POST, protocol::FORWARD),
        Carrier::WebSocket => (Method::GET, protocol::FORWARD_TUNNEL),
    };
    upgrade_headers(builder(method, uri), carrier, version).body(Empty::new())
}

/// Opens connections to ports of a pod over one upgraded connection.
#[derive(Debug)]
pub struct Forwarder {
    connection: spdy::Connection,
    requests: AtomicU64,
}

/// A connection to a port.
pub struct Connection {
    pub data: Duplex,
    /// Why the connection could not be made; ends empty when nothing went wrong.
    pub error: Reader,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("client::Connection")
    }
}

impl Forwarder {
    /// Takes the connection over after the upgrade.
    pub async fn new<I>(io: I, carrier: Carrier, tasks: &Tasks) -> Self
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io: Duplex = match carrier {
            Carrier::Spdy => Box::new(io),
            Carrier::WebSocket => Box::new(Tunnel::client(io).await),
        };
        let (connection, _, driver) = connect(io, Side::Client);
        spawn_driver("port-forward client", tasks, async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "port-forward client failed");
            }
        });
        Self { connection, requests: AtomicU64::new(0) }
    }

    /// Opens a connection to `port`.
    pub async fn open(&self, port: u16) -> Result<Connection, Error> {
        let id = self.requests.fetch_add(1, Ordering::Relaxed).to_string();
        let headers = |kind: &str| {
            Headers::new([("streamType", kind.to_owned()), ("port", port.to_string()), ("requestID", id.clone())])
        };
        let mut error = self.connection.open(headers("error")).await?;
        let shut = error.shutdown().await;
        shut.map_err(|source| Error::Io { attempt: "closing the error stream's sending half", source })?;
        let data = self.connection.open(headers("data")).await?;
        Ok(Connection { data: Box::new(data), error: Box::new(error) })
    }
}
