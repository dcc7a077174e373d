//! Wire protocols of exec, attach and port-forward: WebSocket channels, SPDY/3.1 and SPDY tunnelled in WebSocket.
//!
//! The end that runs the process calls [`accept`] or [`accept_forward`] on the upgrade request and gets plain readers and
//! writers, whatever the client speaks. Servers in between do not translate: they [`upgrade`] towards the next hop and
//! [`splice`] the two connections. [`client`] is the other end.

pub mod client;
mod error;
mod exec;
mod forward;
mod messages;
mod protocol;
pub mod spdy;
mod splice;
mod status;
mod upgrade;
mod websocket;

use tokio::io::{AsyncRead, AsyncWrite};

pub use error::Error;
pub use exec::{Session, Streams, TerminalSize, accept};
pub use forward::{Forward, Forwards, accept_forward};
pub use messages::{Ending, Framing, accept_messages, is_websocket};
pub use splice::splice;
pub use status::{Exit, Status};
pub use upgrade::{Accepted, Upgrade, is_upgrade, upgrade};
pub use websocket::Tunnel;

/// A byte stream that is read.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// A byte stream that is written; shutting it down or dropping it tells the peer that nothing follows.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;
/// A byte stream in both directions.
pub type Duplex = Box<dyn ReadWrite>;

/// What [`Duplex`] boxes.
pub trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for T {}
