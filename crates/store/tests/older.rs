//! A store that an earlier release has written: fixtures of each format.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use host::Host;
use store::{Embedded, Expect, Options, Range, Store as _};

/// Format 1: a cluster with one pod.
const V1: &[u8] = include_bytes!("fixtures/v1.redb.gz");

#[tokio::test]
async fn format_1_is_read_and_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut bytes = Vec::new();
    GzDecoder::new(V1).read_to_end(&mut bytes).expect("the fixture is whole");
    std::fs::write(dir.path().join("store.redb"), bytes).expect("it is written");
    let host = Host::system();
    let store = Embedded::open(dir.path(), Options::default(), &host).await.expect("the store opens");
    let found = store.range(Range { prefix: "/registry/pods/", ..Range::default() }).await.expect("the store answers");
    assert_eq!(found.entries.len(), 1);
    let pod = String::from_utf8(found.entries[0].value.to_vec()).expect("it is text");
    assert!(pod.contains("\"name\":\"old\""), "{pod}");
    let before = store.revision().await.expect("the store answers");
    let put = store.put("/registry/things/new", Bytes::from_static(b"x"), Expect::Any, None).await;
    assert!(put.expect("the store answers") > before);
}
