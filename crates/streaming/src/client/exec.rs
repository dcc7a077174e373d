//! The requesting end of exec and attach.

use bytes::Bytes;
use host::Tasks;
use http::{Method, Request};
use http_body_util::Empty;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Carrier, builder, upgrade_headers};
use crate::exec::{ERROR, NAMES, RESIZE, STDERR, STDIN, STDOUT, coding, spawn_driver};
use crate::spdy::{Headers, Side, connect};
use crate::websocket::{self, ChannelWriter, Inputs, drive, output_queue};
use crate::{Error, Reader, Streams, Writer};

/// Bytes of a status that are read.
const STATUS_LIMIT: u64 = 64 * 1024;

/// The client's end of a session.
pub struct Session {
    pub stdin: Option<Writer>,
    pub stdout: Option<Reader>,
    pub stderr: Option<Reader>,
    /// Takes sizes as JSON: `{"Width":80,"Height":24}`.
    pub resize: Option<Writer>,
    error: Reader,
}

impl Session {
    /// Waits for the end of the session and returns its `metav1.Status`, or the text that older versions send.
    /// Read stdout and stderr at the same time or before.
    pub async fn status(self) -> Result<Vec<u8>, Error> {
        let mut status = Vec::new();
        let read = self.error.take(STATUS_LIMIT).read_to_end(&mut status).await;
        read.map_err(|source| Error::Io { attempt: "reading the session's status", source })?;
        Ok(status)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("client::Session")
    }
}

/// The request that opens a session: `version` is a name like `v5.channel.k8s.io`.
pub fn exec_request(uri: &str, carrier: Carrier, version: &'static str) -> Result<Request<Empty<Bytes>>, http::Error> {
    let method = if carrier == Carrier::Spdy { Method::POST } else { Method::GET };
    upgrade_headers(builder(method, uri), carrier, version).body(Empty::new())
}

/// Opens the streams of a session over SPDY (version 3 and later) after the upgrade.
pub async fn exec_spdy<I>(io: I, streams: Streams, tasks: &Tasks) -> Result<Session, Error>
where
    I: AsyncRead + AsyncWrite + Send + 'static,
{
    let streams = streams.checked()?;
    let (connection, _, driver) = connect(io, Side::Client);
    spawn_driver("exec client", tasks, async move {
        if let Err(error) = driver.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "exec client failed");
        }
    });
    let open = async |wanted: bool, channel: u8| match wanted {
        true => connection.open(Headers::new([("streamType", NAMES[usize::from(channel)])])).await.map(Some),
        false => Ok(None),
    };
    let error = open(true, ERROR).await?.ok_or(Error::Ended("the error stream was opened"))?;
    Ok(Session {
        stdin: open(streams.stdin, STDIN).await?.map(|stream| Box::new(stream) as Writer),
        stdout: open(streams.stdout, STDOUT).await?.map(|stream| Box::new(stream) as Reader),
        stderr: open(streams.stderr, STDERR).await?.map(|stream| Box::new(stream) as Reader),
        resize: open(streams.tty, RESIZE).await?.map(|stream| Box::new(stream) as Writer),
        error: Box::new(error),
    })
}

/// Opens the channels of a session over WebSocket after the handshake for `version`.
pub async fn exec_websocket<I>(io: I, version: &str, streams: Streams, tasks: &Tasks) -> Result<Session, Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let streams = streams.checked()?;
    let socket = websocket::open(io, Role::Client).await;
    let mut inputs = Inputs::default();
    let stdout = streams.stdout.then(|| Box::new(inputs.open(STDOUT)) as Reader);
    let stderr = streams.stderr.then(|| Box::new(inputs.open(STDERR)) as Reader);
    let error = Box::new(inputs.open(ERROR));
    let (queue, outgoing) = output_queue();
    let tells_end = version.starts_with("v5");
    let writer = |channel| Box::new(ChannelWriter::new(channel, &queue).telling_end(tells_end)) as Writer;
    let stdin = streams.stdin.then(|| writer(STDIN));
    let resize = streams.tty.then(|| writer(RESIZE));
    let coding = coding(Some(version));
    spawn_driver("exec client", tasks, async move {
        let _open = queue;
        drive(socket, coding, inputs, outgoing).await;
    });
    Ok(Session { stdin, stdout, stderr, resize, error })
}
