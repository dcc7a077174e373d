//! One stream as a reader and writer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Holder;
use super::frame::{Control, Reset};

/// Payload of one data frame that is sent.
const CHUNK: usize = 32 * 1024;

/// A stream of a SPDY connection. Shutting down ends the sending half only; dropping ends it too, and discards what
/// still arrives.
pub struct Stream {
    holder: Holder,
    id: u32,
}

impl Stream {
    pub(super) fn new(holder: Holder, id: u32) -> Self {
        Self { holder, id }
    }

    /// Ends both halves at once, after what was written.
    pub fn reset(self) {
        let mut state = self.holder.lock();
        if let Some(slot) = state.slots.get_mut(&self.id) {
            slot.reset = true;
            self.holder.send(&mut state, &Control::RstStream { stream: self.id, code: Reset::Cancel as u32 });
        }
    }

    fn finish(&self) {
        let mut state = self.holder.lock();
        let open = !state.ended && !state.closing;
        if open && state.slots.get(&self.id).is_some_and(|slot| !slot.finished && !slot.reset) {
            state.send_data(self.id, true, &[]);
            self.holder.sender.notify_one();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.holder.lock();
        let gone = state.ended || state.closing;
        let Some(slot) = state.slots.get_mut(&self.id) else { return Poll::Ready(Ok(())) };
        if let Some(chunk) = slot.received.front_mut() {
            let count = chunk.len().min(buf.remaining());
            buf.put_slice(chunk.get(..count).unwrap_or_default());
            chunk.advance(count);
            if chunk.is_empty() {
                slot.received.pop_front();
            }
            slot.held -= count;
            state.consumed(self.id, count);
            self.holder.sender.notify_one();
            self.holder.receiver.notify_one();
            return Poll::Ready(Ok(()));
        }
        // The usual servers of Kubernetes end a session by resetting its streams, so that a reset is an end like any other.
        if slot.peer_finished || slot.reset {
            return Poll::Ready(Ok(()));
        }
        if gone {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        slot.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.holder.lock();
        if state.ended || state.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let Some(slot) = state.slots.get(&self.id) else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        if slot.finished || slot.reset {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = state.may_send(slot, bytes.len().min(CHUNK));
        if count == 0 && !bytes.is_empty() {
            if let Some(slot) = state.slots.get_mut(&self.id) {
                slot.writer = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        if count > 0 {
            state.send_data(self.id, false, bytes.get(..count).unwrap_or_default());
            self.holder.sender.notify_one();
        }
        Poll::Ready(Ok(count))
    }

    /// The driver sends without being asked to.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.finish();
        let mut state = self.holder.lock();
        if let Some(slot) = state.slots.get_mut(&self.id) {
            slot.abandoned = true;
            slot.received.clear();
            let held = std::mem::take(&mut slot.held);
            state.consumed(self.id, held);
            state.forget_if_done(self.id);
        }
        self.holder.sender.notify_one();
        self.holder.receiver.notify_one();
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}
