//! Handles on a connection: opening streams, and taking those of the peer.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::drive;
use super::frame::{Control, Error, INITIAL_WINDOW, Reset};
use super::header::Headers;
use super::state::Shared;
use super::stream::Stream;

/// Which end of the connection this is; clients number their streams odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) fn first_stream(self) -> u32 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }

    pub(super) fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Speaks SPDY/3.1 over `io`. Nothing happens until the returned future, the driver, is polled; it ends when the
/// connection does. The connection closes when every handle and stream is dropped, after sending what was written.
pub fn connect<I>(io: I, side: Side) -> (Connection, Incoming, impl Future<Output = Result<(), crate::Error>>)
where
    I: AsyncRead + AsyncWrite + Send,
{
    let shared = Arc::new(Shared::new(side));
    let incoming = Incoming(Holder::new(Arc::clone(&shared)));
    let connection = Connection(Holder::new(Arc::clone(&shared)));
    if side == Side::Client {
        let mut state = shared.lock();
        shared.send(&mut state, &Control::Settings { initial_window: Some(INITIAL_WINDOW) });
    }
    (connection, incoming, drive(io, shared))
}

/// Opens streams and closes the connection; cheap to clone.
#[derive(Clone)]
pub struct Connection(Holder);

impl Connection {
    /// Opens a stream and waits for the peer's reply to it.
    pub async fn open(&self, headers: Headers) -> Result<Stream, Error> {
        let id = {
            let mut state = self.0.lock();
            let id = state.open()?;
            let fin = false;
            self.0.send(&mut state, &Control::SynStream { stream: id, fin, unidirectional: false, headers });
            id
        };
        let stream = Stream::new(self.0.clone(), id);
        poll_fn(|cx| self.poll_reply(id, cx)).await?;
        Ok(stream)
    }

    /// Ends all streams; what was written before is still sent, and the driver ends.
    pub fn close(&self) {
        self.0.close();
    }

    fn poll_reply(&self, id: u32, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.0.lock();
        let gone = state.ended || state.closing;
        match state.slots.get_mut(&id) {
            Some(slot) if slot.replied => Poll::Ready(Ok(())),
            Some(slot) if slot.reset => Poll::Ready(Err(Error::Refused)),
            Some(slot) if !gone => {
                slot.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(Err(Error::Closed)),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// The streams that the peer opens, in order.
pub struct Incoming(Holder);

impl Incoming {
    /// The next stream; `None` when the connection ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Offer> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some((id, headers)) = state.offered.pop_front() {
                    return Some(Offer { holder: self.0.clone(), id, headers, open: true });
                }
                if state.ended || state.closing {
                    return None;
                }
            }
            self.0.arrivals.notified().await;
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incoming")
    }
}

/// A stream that the peer wants; dropping it refuses it.
pub struct Offer {
    holder: Holder,
    id: u32,
    headers: Headers,
    open: bool,
}

impl Offer {
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Tells the peer that the stream is open.
    #[must_use]
    pub fn accept(mut self) -> Stream {
        self.open = false;
        let mut state = self.holder.lock();
        let reply = Control::SynReply { stream: self.id, fin: false, headers: Headers::default() };
        self.holder.send(&mut state, &reply);
        drop(state);
        Stream::new(self.holder.clone(), self.id)
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        if self.open {
            let mut state = self.holder.lock();
            state.slots.remove(&self.id);
            self.holder.send(&mut state, &Control::RstStream { stream: self.id, code: Reset::Refused as u32 });
        }
    }
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer").field("id", &self.id).field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// Keeps the connection alive.
pub(super) struct Holder(Arc<Shared>);

impl Holder {
    fn new(shared: Arc<Shared>) -> Self {
        shared.holders.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Clone for Holder {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.0.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.close();
        }
    }
}

impl std::ops::Deref for Holder {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
