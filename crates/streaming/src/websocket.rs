//! WebSocket as a carrier: numbered channels, or a tunnel for another protocol's bytes.

mod channels;
mod tunnel;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub(crate) use channels::{ChannelWriter, Coding, Inputs, Outgoing, drive, output_queue};
pub use tunnel::Tunnel;

/// Bytes of a message that is accepted.
const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;
/// Payload of a message that is sent.
const CHUNK: usize = 32 * 1024;

pub(crate) async fn open<I: AsyncRead + AsyncWrite + Unpin>(io: I, role: Role) -> WebSocketStream<I> {
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(CHUNK)
        .max_write_buffer_size(MESSAGE_LIMIT)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT));
    WebSocketStream::from_raw_socket(io, role, Some(config)).await
}
