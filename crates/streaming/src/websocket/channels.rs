//! Several byte streams in one WebSocket: the first byte of every message names the channel.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame, protocol::frame::coding::CloseCode};
use tokio_util::sync::PollSender;

use super::CHUNK;

/// In version 5, a message on this channel closes the channel that its payload names.
const CLOSE: u8 = 255;
/// Bytes held for a channel that is read slowly; then the connection is not read either.
const INPUT_BUFFER: usize = 64 * 1024;
/// Messages queued for sending.
const OUTPUT_QUEUE: usize = 8;
/// How long the peer may take to answer the closing handshake.
const LINGER: Duration = Duration::from_secs(5);

/// How a message carries channel and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// A byte, then the bytes.
    Binary,
    /// A digit, then the bytes in base64.
    Base64,
}

impl Coding {
    fn encode(self, channel: u8, payload: &[u8]) -> Message {
        match self {
            Self::Binary => {
                let mut message = BytesMut::with_capacity(1 + payload.len());
                message.put_u8(channel);
                message.put_slice(payload);
                Message::Binary(message.freeze())
            }
            Self::Base64 => {
                let mut message = String::from(char::from(b'0'.wrapping_add(channel)));
                STANDARD.encode_string(payload, &mut message);
                Message::Text(message.into())
            }
        }
    }

    /// The channel and its bytes; `None` for a message that is malformed or empty.
    fn decode(self, message: Bytes) -> Option<(u8, Bytes)> {
        let (&first, payload) = message.split_first()?;
        match self {
            Self::Binary => Some((first, message.slice(1..))),
            Self::Base64 => {
                let payload = STANDARD.decode(payload).ok()?;
                Some((first.checked_sub(b'0')?, payload.into()))
            }
        }
    }
}

/// The channels that are received.
#[derive(Debug, Default)]
pub(crate) struct Inputs(BTreeMap<u8, DuplexStream>);

impl Inputs {
    /// Takes what arrives on `channel`.
    pub(crate) fn open(&mut self, channel: u8) -> DuplexStream {
        let (reader, writer) = duplex(INPUT_BUFFER);
        self.0.insert(channel, writer);
        reader
    }

    async fn receive(&mut self, channel: u8, payload: &[u8]) {
        if channel == CLOSE {
            if let [closed] = payload {
                self.0.remove(closed);
            }
            return;
        }
        let Some(input) = self.0.get_mut(&channel) else { return };
        if input.write_all(payload).await.is_err() {
            self.0.remove(&channel);
        }
    }
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Data(u8, Bytes),
    /// The end of the connection.
    Close,
}

pub(crate) fn output_queue() -> (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>) {
    mpsc::channel(OUTPUT_QUEUE)
}

/// Writes to a channel.
#[derive(Debug)]
pub(crate) struct ChannelWriter {
    channel: u8,
    queue: PollSender<Outgoing>,
    /// Whether shutting down is told to the peer, which only version 5 can.
    tells_end: bool,
}

impl ChannelWriter {
    pub(crate) fn new(channel: u8, queue: &mpsc::Sender<Outgoing>) -> Self {
        Self { channel, queue: PollSender::new(queue.clone()), tells_end: false }
    }

    #[must_use]
    pub(crate) fn telling_end(mut self, tells_end: bool) -> Self {
        self.tells_end = tells_end;
        self
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, channel: u8, payload: &[u8]) -> Poll<io::Result<()>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.queue.poll_reserve(cx)).map_err(gone)?;
        let item = Outgoing::Data(channel, Bytes::copy_from_slice(payload));
        Poll::Ready(self.queue.send_item(item).map_err(gone))
    }
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(CHUNK);
        let channel = self.channel;
        ready!(self.poll_send(cx, channel, bytes.get(..count).unwrap_or_default()))?;
        Poll::Ready(Ok(count))
    }

    /// The driver sends without being asked to.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.tells_end {
            let closed = self.channel;
            ready!(self.poll_send(cx, CLOSE, &[closed]))?;
            self.tells_end = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Runs the connection until the peer hangs up, [`Outgoing::Close`] is sent, or nobody can send any more.
pub(crate) async fn drive<I>(
    socket: WebSocketStream<I>,
    coding: Coding,
    mut inputs: Inputs,
    mut outgoing: mpsc::Receiver<Outgoing>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut sink, mut stream) = socket.split();
    let sent = tokio::select! {
        biased;
        () = receive(&mut stream, coding, &mut inputs) => return,
        sent = send(&mut sink, coding, &mut outgoing) => sent,
    };
    if let Err(error) = sent {
        return tracing::debug!(%error, "sending to a WebSocket client failed");
    }
    if let Ok(socket) = sink.reunite(stream) {
        drop(tokio::time::timeout(LINGER, hang_up(socket, coding, &mut inputs)).await);
    }
}

/// Ends our direction, then reads the peer's to its end. Clients that wait for their socket, while the last messages are
/// decrypted already, notice only this end.
async fn hang_up<I>(mut socket: WebSocketStream<I>, coding: Coding, inputs: &mut Inputs)
where
    I: AsyncRead + AsyncWrite + Unpin + Send,
{
    // A peer that is gone already needs no word.
    let _ = socket.get_mut().shutdown().await;
    receive(&mut socket, coding, inputs).await;
}

async fn receive<S>(stream: &mut S, coding: Coding, inputs: &mut Inputs)
where
    S: Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
{
    while let Some(message) = stream.next().await {
        let bytes = match message {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Text(text)) => text.into(),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Ok(Message::Close(_)) => continue,
            Err(error) => return tracing::debug!(%error, "a WebSocket client hung up"),
        };
        if let Some((channel, payload)) = coding.decode(bytes) {
            inputs.receive(channel, &payload).await;
        }
    }
}

async fn send<S>(
    sink: &mut S,
    coding: Coding,
    outgoing: &mut mpsc::Receiver<Outgoing>,
) -> Result<(), tungstenite::Error>
where
    S: Sink<Message, Error = tungstenite::Error> + Unpin,
{
    while let Some(Outgoing::Data(channel, payload)) = outgoing.recv().await {
        sink.feed(coding.encode(channel, &payload)).await?;
        if outgoing.is_empty() {
            sink.flush().await?;
        }
    }
    outgoing.close();
    sink.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await
}
