//! Terminal sizes: JSON objects one after the other.

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// Bytes that one size may take.
const LIMIT: usize = 1024;

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

/// Passes on the sizes that `reader` gives until it ends, gives something else, or nobody listens.
pub(super) async fn decode<R: AsyncRead + Unpin>(mut reader: R, sizes: mpsc::Sender<TerminalSize>) {
    let mut pending = Vec::new();
    let mut chunk = [0; 256];
    while let Ok(count @ 1..) = reader.read(&mut chunk).await {
        pending.extend_from_slice(chunk.get(..count).unwrap_or_default());
        let Some((complete, used)) = complete(&pending) else { return };
        for size in complete {
            if sizes.send(size).await.is_err() {
                return;
            }
        }
        pending.drain(..used);
        if pending.len() > LIMIT {
            return;
        }
    }
}

/// The sizes at the start of `bytes` and how many bytes they take; `None` when something else stands there.
fn complete(bytes: &[u8]) -> Option<(Vec<TerminalSize>, usize)> {
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter();
    let (mut sizes, mut used) = (Vec::new(), 0);
    loop {
        match stream.next() {
            Some(Ok(size)) => {
                sizes.push(size);
                used = stream.byte_offset();
            }
            Some(Err(error)) if !error.is_eof() => return None,
            _ => return Some((sizes, used)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn decoded(pieces: &[&str]) -> Vec<(u16, u16)> {
        let mut reader: Box<dyn AsyncRead + Unpin> = Box::new(tokio::io::empty());
        for piece in pieces {
            reader = Box::new(reader.chain(std::io::Cursor::new(piece.to_string())));
        }
        let (sender, mut receiver) = mpsc::channel(16);
        decode(reader, sender).await;
        let mut sizes = Vec::new();
        while let Some(size) = receiver.recv().await {
            sizes.push((size.width, size.height));
        }
        sizes
    }

    #[tokio::test]
    async fn sizes_may_be_cut_and_joined() {
        assert_eq!(decoded(&[r#"{"Width":80,"Height":24}"#]).await, [(80, 24)]);
        assert_eq!(
            decoded(&[r#"{"Width":80,"Hei"#, "ght\":24}\n{\"Width\":1,", "\"Height\":2}"]).await,
            [(80, 24), (1, 2)]
        );
        assert_eq!(decoded(&["garbage", r#"{"Width":80,"Height":24}"#]).await, []);
        assert_eq!(decoded(&[r#"{"Width":70000,"Height":24}"#]).await, []);
        assert_eq!(decoded(&["[".repeat(100_000).as_str()]).await, []);
    }
}
