//! Bodies of requests and responses.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::error::{Error, Result};

/// What can go wrong while a body moves.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body: nothing, bytes at hand, a list of slices, or a stream.
pub struct Body(Inner);

type BoxedBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

enum Inner {
    Empty,
    Full(Bytes),
    /// Sent one by one; the rest is kept reversed.
    Slices {
        rest: Vec<Bytes>,
        left: u64,
    },
    /// Never locked: the mutex only makes the body shareable by reference, as exchanges must be.
    Stream(Mutex<BoxedBody>),
}

impl Body {
    #[must_use]
    pub fn empty() -> Self {
        Self(Inner::Empty)
    }

    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Full(bytes.into()))
    }

    /// Slices that are sent one after the other, with their total length known.
    #[must_use]
    pub fn slices(mut slices: Vec<Bytes>) -> Self {
        let left = slices.iter().map(|slice| slice.len() as u64).sum();
        slices.reverse();
        Self(Inner::Slices { rest: slices, left })
    }

    /// Any other body.
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Inner::Stream(Mutex::new(Box::pin(body.map_err(Into::into)))))
    }

    /// Whether nothing is under way.
    pub(crate) fn is_at_hand(&self) -> bool {
        match &self.0 {
            Inner::Stream(_) => self.is_end_stream(),
            _ => true,
        }
    }

    /// Reads everything, up to `limit` bytes.
    ///
    /// # Errors
    /// 413 when there is more, 400 when the other end breaks off.
    pub async fn read(self, limit: usize) -> Result<Bytes> {
        match self.0 {
            Inner::Empty => Ok(Bytes::new()),
            Inner::Full(bytes) if bytes.len() <= limit => Ok(bytes),
            Inner::Full(_) => Err(Error::too_large(limit)),
            inner => match http_body_util::Limited::new(Self(inner), limit).collect().await {
                Ok(collected) => Ok(collected.to_bytes()),
                Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Error::too_large(limit)),
                Err(error) => Err(Error::bad_request(format!("reading the body: {error}"))),
            },
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let inner = &mut self.get_mut().0;
        match inner {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *inner = Inner::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Inner::Slices { rest, left } => Poll::Ready(rest.pop().map(|slice| {
                *left -= slice.len() as u64;
                Ok(Frame::data(slice))
            })),
            Inner::Stream(body) => body.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Slices { left, .. } => *left == 0,
            Inner::Stream(body) => body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Slices { left, .. } => SizeHint::with_exact(*left),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}
