//! Exec and attach: a process's standard streams, its terminal's size and its end.

mod resize;
mod spdy;
#[cfg(test)]
mod tests;
mod websocket;

use host::{OnEnd, Shutdown, Tasks};
use http::Request;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use crate::{Accepted, Error, Reader, Status, Writer, protocol};

pub use resize::TerminalSize;
pub(crate) use websocket::{coding, negotiate};

/// Names of the streams, in the `streamType` header and in the order of the WebSocket channels.
pub(crate) const NAMES: [&str; 5] = ["stdin", "stdout", "stderr", "error", "resize"];
pub(crate) const STDIN: u8 = 0;
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
pub(crate) const ERROR: u8 = 3;
pub(crate) const RESIZE: u8 = 4;

/// Sizes that wait to be applied; later ones wait in the connection.
const RESIZE_QUEUE: usize = 4;

/// Which streams a session has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// A terminal: stderr is merged into stdout, and the client sends sizes.
    pub tty: bool,
}

impl Streams {
    /// A terminal has no stderr of its own. At least one stream must be left.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        self.stderr &= !self.tty;
        if self.stdin || self.stdout || self.stderr {
            return Ok(self);
        }
        Err(Error::BadRequest("you must specify at least 1 of stdin, stdout, stderr".into()))
    }
}

/// The end of a session where the process is.
pub struct Session {
    /// Ends when the client closes it; fails when the client is gone.
    pub stdin: Option<Reader>,
    pub stdout: Option<Writer>,
    pub stderr: Option<Writer>,
    /// Sizes of the client's terminal; ends at once without one.
    pub resize: mpsc::Receiver<TerminalSize>,
    pub status: Status,
    /// Cancelled when the connection is gone.
    pub closed: Shutdown,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let streams = [self.stdin.is_some(), self.stdout.is_some(), self.stderr.is_some()];
        f.debug_struct("Session").field("streams", &streams).finish_non_exhaustive()
    }
}

/// Agrees to the upgrade that an exec or attach request asks for, over WebSocket or SPDY, in the newest version that
/// the client prefers. Tasks that move bytes run in `tasks`; they end with the connection. An error is to be answered
/// with [`Error::response`].
pub fn accept<B>(request: &mut Request<B>, streams: Streams, tasks: &Tasks) -> Result<Accepted<Session>, Error> {
    let streams = streams.checked()?;
    match protocol::upgrade_token(request.headers()) {
        Some(token) if token.eq_ignore_ascii_case(protocol::WEBSOCKET) => websocket::accept(request, streams, tasks),
        Some(token) if token.eq_ignore_ascii_case(protocol::SPDY) => spdy::accept(request, streams, tasks),
        _ => Err(Error::NotUpgrade),
    }
}

/// Reads sizes from the resize stream in a task.
fn resizes<R>(reader: Option<R>, tasks: &Tasks) -> mpsc::Receiver<TerminalSize>
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let (sizes, resize) = mpsc::channel(RESIZE_QUEUE);
    if let Some(reader) = reader {
        tasks.spawn("terminal sizes", OnEnd::Expected, resize::decode(reader, sizes));
    }
    resize
}

/// Runs what drives a connection until it ends or everything is to end.
pub(crate) fn spawn_driver<F>(name: &'static str, tasks: &Tasks, driver: F) -> Shutdown
where
    F: Future<Output = ()> + Send + 'static,
{
    let closed = Shutdown::new();
    let (guard, shutdown) = (closed.clone().drop_guard(), tasks.shutdown());
    tasks.spawn(name, OnEnd::Expected, async move {
        let _closed = guard;
        shutdown.run_until_cancelled(driver).await;
    });
    closed
}
