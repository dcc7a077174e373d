//! Joining two upgraded connections.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};

/// Bytes held for each direction.
const BUFFER: usize = 32 * 1024;

/// Copies bytes in both directions until both ended; the end of one direction is passed on, the other goes on.
/// Returns how many bytes went from `a` to `b` and from `b` to `a`.
pub async fn splice<A, B>(mut a: A, mut b: B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    copy_bidirectional_with_sizes(&mut a, &mut b, BUFFER, BUFFER).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn one_direction_may_end_first() {
        let (mut left, a) = duplex(64);
        let (mut right, b) = duplex(64);
        let joined = splice(a, b);
        let talk = async {
            left.write_all(b"question").await.unwrap();
            left.shutdown().await.unwrap();
            let mut heard = Vec::new();
            right.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"question");
            right.write_all(b"answer").await.unwrap();
            drop(right);
            heard.clear();
            left.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"answer");
        };
        let (copied, ()) = tokio::join!(joined, talk);
        assert_eq!(copied.unwrap(), (8, 6));
    }
}
