//! A WebSocket that carries messages one way: what a watch is to clients that cannot read a stream.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt};
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::upgrade::{switched, websocket_response};
use crate::{Accepted, Error, protocol, websocket};

/// How long a client may take to answer that the connection closes.
const LINGER: Duration = Duration::from_secs(5);
/// How long one message may be under way to a client that does not read.
const SEND_LIMIT: Duration = Duration::from_secs(60);

/// How messages are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// UTF-8.
    Text,
    Binary,
}

/// Why the messages ended, for the close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// There are no more.
    Complete,
    /// The server goes away.
    Away,
}

/// Whether the request asks for a WebSocket.
#[must_use]
pub fn is_websocket(headers: &HeaderMap) -> bool {
    protocol::upgrade_token(headers).is_some_and(|token| token.eq_ignore_ascii_case(protocol::WEBSOCKET))
}

/// Agrees to a WebSocket on which each item of `messages` is a message; what the client sends is not looked at. `ending` is
/// asked at the end.
///
/// # Errors
/// When the request is no upgrade to a WebSocket of version 13.
pub fn accept_messages<S>(
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
    subprotocol: Option<&str>,
    framing: Framing,
    messages: S,
    ending: impl FnOnce() -> Ending + Send + 'static,
) -> Result<Accepted<()>, Error>
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let response = websocket_response(headers, subprotocol)?;
    let upgrade = upgrade.ok_or(Error::NotUpgrade)?;
    let session = async move {
        let mut socket = websocket::open(switched(upgrade).await?, Role::Server).await;
        if deliver(&mut socket, framing, messages).await? {
            close(&mut socket, ending()).await?;
        }
        Ok(())
    };
    Ok(Accepted { response, session: Box::pin(session) })
}

/// Sends all messages; false when the client hung up before. Pings are answered while waiting.
async fn deliver<I, S>(socket: &mut WebSocketStream<I>, framing: Framing, messages: S) -> Result<bool, Error>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Stream<Item = Bytes>,
{
    let mut messages = std::pin::pin!(messages);
    loop {
        tokio::select! {
            biased;
            received = socket.next() => match received {
                None => return Ok(false),
                Some(Ok(Message::Close(_))) => {
                    finish(socket).await;
                    return Ok(false);
                }
                Some(received) => drop(received?),
            },
            message = messages.next() => {
                let Some(bytes) = message else { return Ok(true) };
                let sent = tokio::time::timeout(SEND_LIMIT, socket.send(framed(framing, bytes)?));
                sent.await.map_err(|_| Error::Timeout("read a message"))??;
            }
        }
    }
}

/// One side has closed; reading on sends and takes what is left to say.
async fn finish<I>(socket: &mut WebSocketStream<I>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let read_on = async { while socket.next().await.is_some_and(|message| message.is_ok()) {} };
    // Whoever does not take the answer has hung up already.
    let _ = tokio::time::timeout(LINGER, read_on).await;
}

fn framed(framing: Framing, bytes: Bytes) -> Result<Message, Error> {
    match framing {
        Framing::Binary => Ok(Message::Binary(bytes)),
        Framing::Text => {
            let text = bytes.try_into().map_err(|_| Error::BadRequest("a text message is not UTF-8".into()))?;
            Ok(Message::Text(text))
        }
    }
}

async fn close<I>(socket: &mut WebSocketStream<I>, ending: Ending) -> Result<(), Error>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let code = match ending {
        Ending::Complete => CloseCode::Normal,
        Ending::Away => CloseCode::Away,
    };
    let told = socket.send(Message::Close(Some(CloseFrame { code, reason: "".into() })));
    tokio::time::timeout(LINGER, told).await.unwrap_or(Ok(()))?;
    finish(socket).await;
    Ok(())
}
