//! Port-forward: connections to ports of a pod, each with a stream for what went wrong.

mod channels;
mod spdy;
#[cfg(test)]
mod tests;

use host::Tasks;
use http::{Request, header};
use tokio::sync::mpsc;

use crate::{Accepted, Duplex, Error, Writer, protocol};

/// Connections that wait to be dialled.
const QUEUE: usize = 16;

/// One connection that the client wants.
pub struct Forward {
    pub port: u16,
    /// The connection's bytes; each direction ends on its own.
    pub data: Duplex,
    /// Where to say why the connection could not be made or broke; written to at most once.
    pub error: Writer,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The connections that a client asks for.
#[derive(Debug)]
pub struct Forwards(mpsc::Receiver<Forward>);

impl Forwards {
    /// The next connection; `None` when the client is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Forward> {
        self.0.recv().await
    }
}

/// Agrees to the upgrade that a port-forward request asks for: SPDY, SPDY inside WebSocket, or WebSocket channels; only
/// the last needs `ports`, which are then all connected at once. An error is to be answered with [`Error::response`].
pub fn accept_forward<B>(request: &mut Request<B>, ports: &[u16], tasks: &Tasks) -> Result<Accepted<Forwards>, Error> {
    match protocol::upgrade_token(request.headers()) {
        Some(token) if token.eq_ignore_ascii_case(protocol::SPDY) => spdy::accept(request, tasks),
        Some(token) if token.eq_ignore_ascii_case(protocol::WEBSOCKET) => {
            let tunnel = protocol::list(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL)
                .any(|offered| offered == protocol::FORWARD_TUNNEL);
            if tunnel { spdy::accept_tunnelled(request, tasks) } else { channels::accept(request, ports, tasks) }
        }
        _ => Err(Error::NotUpgrade),
    }
}

fn queue() -> (mpsc::Sender<Forward>, Forwards) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (sender, Forwards(receiver))
}
