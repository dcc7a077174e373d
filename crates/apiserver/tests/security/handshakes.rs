//! Connections that never become any.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::{As, Cluster};

#[tokio::test]
async fn half_a_handshake_is_dropped() {
    let cluster = Cluster::start().await;
    let silent = TcpStream::connect(cluster.address).await.unwrap();
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("half a record", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("a record that is too long", b"\x16\x03\x01\xff\xff\x01\x00\x00\x00"),
        ("plain HTTP", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("noise", &[0x80; 4096]),
    ] {
        let mut stream = TcpStream::connect(cluster.address).await.unwrap();
        // The server may hang up before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut said = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said)).await;
        assert!(read.is_ok(), "{what}: the server keeps the connection");
        assert!(said.len() < 64, "{what}: {said:?}");
    }
    assert_eq!(cluster.get(As::Admin, "/livez").await.0, 200);
    drop(silent);
}
