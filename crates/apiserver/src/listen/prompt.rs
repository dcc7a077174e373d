//! A connection on which the client must begin to speak: until it is known which HTTP it speaks, nothing else watches it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The length of what an HTTP/2 client says first; the same number of bytes tells HTTP/1.
const PREFACE: usize = 24;

/// Fails reads when the first bytes do not come in time; from then on it is the connection inside.
pub(super) struct Prompt<S> {
    stream: S,
    /// Bytes still to come, and until when; none once they have come.
    waiting: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Prompt<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, waiting: Some((PREFACE, Box::pin(sleep(limit)))) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some((missing, limit)) = &mut self.waiting else { return polled };
        if polled.is_pending() {
            return limit.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        *missing = missing.saturating_sub(buf.filled().len() - before);
        if *missing == 0 {
            self.waiting = None;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
