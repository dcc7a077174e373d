//! Compressing answers: large ones, for callers that ask for it, while they are sent.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::Stream;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};

use crate::body::{Body, BodyError};
use crate::pipeline::Response;

/// Smaller answers are sent as they are, as upstream has it.
const THRESHOLD: u64 = 128 * 1024;
/// Bytes that are compressed before others get their turn: about a millisecond.
const TURN: usize = 128 * 1024;

/// The answer, compressed where that is worth it. Not for answers that go on and on: what comes must not wait for more.
pub(crate) fn answer(request: &HeaderMap, mut response: Response) -> Response {
    // Only lists are streams here, and only those of several large pieces.
    let large = response.body().size_hint().exact().is_none_or(|length| length > THRESHOLD);
    if !large || !is_wanted(request) {
        return response;
    }
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response.map(|body| Body::wrap(StreamBody::new(frames(body))))
}

/// Whether `Accept-Encoding` names gzip, without a weight, as upstream reads it.
fn is_wanted(request: &HeaderMap) -> bool {
    let encodings = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    encodings.split(',').any(|token| token.trim() == "gzip")
}

/// What is being compressed.
struct Compressing {
    body: Body,
    /// The rest of the last frame.
    rest: Bytes,
    /// None when the end has been written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

fn frames(body: Body) -> impl Stream<Item = Result<Frame<Bytes>, BodyError>> {
    let encoder = GzEncoder::new(Vec::new(), Compression::new(1));
    let start = Compressing { body, rest: Bytes::new(), encoder: Some(encoder) };
    futures::stream::try_unfold(start, |mut compressing| async move {
        let piece = compressing.piece().await?;
        Ok(piece.map(|piece| (Frame::data(piece), compressing)))
    })
}

impl Compressing {
    /// The next piece of compressed bytes; none at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let Some(encoder) = &mut self.encoder else { return Ok(None) };
            if self.rest.is_empty() {
                match self.body.frame().await.transpose()? {
                    Some(frame) => self.rest = frame.into_data().unwrap_or_default(),
                    None => {
                        let end = self.encoder.take().map(GzEncoder::finish).transpose()?;
                        return Ok(end.map(Bytes::from));
                    }
                }
                continue;
            }
            encoder.write_all(&self.rest.split_to(self.rest.len().min(TURN)))?;
            tokio::task::yield_now().await;
            if !encoder.get_ref().is_empty() {
                return Ok(Some(std::mem::take(encoder.get_mut()).into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// What of a body arrives, and whether it came compressed.
    async fn check(accept: Option<&'static str>, body: Body, expected: bool) {
        let headers = accept.map(|value| (header::ACCEPT_ENCODING, HeaderValue::from_static(value)));
        let response = answer(&headers.into_iter().collect(), Response::new(body));
        let compressed = response.headers().contains_key(header::CONTENT_ENCODING);
        assert_eq!(compressed, expected, "{accept:?}");
        assert_eq!(response.headers().contains_key(header::VARY), expected);
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        if compressed {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text).expect("gzip");
            assert_eq!((bytes.len() < text.len() / 10, text.len()), (true, 300_000));
            assert!(text.iter().all(|byte| *byte == b'x'));
        }
    }

    #[tokio::test]
    async fn large_answers_are_compressed_where_wanted() {
        let text = Bytes::from("x".repeat(300_000));
        let streamed = || {
            let pieces = [Ok::<_, BodyError>(Frame::data(text.clone()))];
            Body::wrap(StreamBody::new(futures::stream::iter(pieces)))
        };
        for (accept, expected) in [
            (Some("gzip"), true),
            (Some("deflate, gzip , br"), true),
            (Some("gzip;q=0"), false),
            (Some("identity"), false),
            (None, false),
        ] {
            check(accept, Body::full(text.clone()), expected).await;
            check(accept, Body::slices(vec![text.slice(..100_000), text.slice(100_000..)]), expected).await;
            check(accept, streamed(), expected).await;
        }
        check(Some("gzip"), Body::full(text.slice(..128 * 1024)), false).await;
        check(Some("gzip"), Body::empty(), false).await;
    }
}
