//! The codec against itself and against hostile bytes; streams between two ends.

use std::time::Duration;

use host::{OnEnd, Tasks};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::frame::{Control, HEAD, Head};
use super::header::{Deflater, Inflater};
use super::*;

fn headers() -> impl Strategy<Value = Headers> {
    proptest::collection::vec(("[a-z0-9-]{1,20}", "[ -~é]{0,200}"), 0..10).prop_map(Headers::new)
}

fn control() -> impl Strategy<Value = Control> {
    let id = 1..=i32::MAX as u32;
    prop_oneof![
        (id.clone(), any::<bool>(), any::<bool>(), headers()).prop_map(|(stream, fin, unidirectional, headers)| {
            Control::SynStream { stream, fin, unidirectional, headers }
        }),
        (id.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Control::SynReply {
            stream,
            fin,
            headers
        }),
        (id.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Control::Headers {
            stream,
            fin,
            headers
        }),
        (id.clone(), any::<u32>()).prop_map(|(stream, code)| Control::RstStream { stream, code }),
        proptest::option::of(id.clone()).prop_map(|initial_window| Control::Settings { initial_window }),
        any::<u32>().prop_map(|id| Control::Ping { id }),
        (id.clone(), any::<u32>()).prop_map(|(last, code)| Control::GoAway { last, code }),
        (id.clone(), id).prop_map(|(stream, delta)| Control::WindowUpdate { stream, delta }),
    ]
}

proptest! {
    #[test]
    fn frames_round_trip(frames in proptest::collection::vec(control(), 1..20)) {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        for frame in frames {
            let bytes = frame.encode(&mut deflater).unwrap();
            let (head, payload) = bytes.split_first_chunk::<HEAD>().unwrap();
            let Head::Control { kind, flags, length } = Head::decode(*head).unwrap() else { panic!("a data frame") };
            prop_assert_eq!(length, payload.len());
            prop_assert_eq!(Control::decode(kind, flags, payload, &mut inflater).unwrap(), frame);
        }
    }

    #[test]
    fn any_payload_is_decoded_or_refused(kind in 0_u16..12, flags: u8, payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Control::decode(kind, flags, &payload, &mut Inflater::new());
    }

    #[test]
    fn any_bytes_end_the_connection_at_worst(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut peer, io) = duplex(64);
            let (_connection, _incoming, driver) = connect(io, Side::Server);
            let feed = async { let _ = peer.write_all(&bytes).await; drop(peer); };
            let _ = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(driver, feed) }).await;
        });
    }
}

#[test]
fn headers_of_others_are_understood() {
    // Two blocks of one connection, made with the original zlib.
    let first = b"\x78\xbb\xe3\xc6\xa7\xc2\x02\xa6\x23\x46\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xc5\x25\xc0\x3c\x01\x00\x00\x00\xff\xff";
    let second = b"\xc2\x2a\x05\x4c\xcc\x29\xf9\xa5\x25\x00\x00\x00\x00\xff\xff";
    let mut inflater = Inflater::new();
    assert_eq!(inflater.decompress(first).unwrap().get("streamType"), Some("stdin"));
    assert_eq!(inflater.decompress(second).unwrap().get("streamType"), Some("stdout"));
    assert!(Inflater::new().decompress(&first[..20]).is_err(), "a cut block is refused");
    let sent = Headers::new([("streamType", "stdin"), ("port", "80")]);
    let mut deflater = Deflater::new();
    let compressed = deflater.compress(&sent).unwrap();
    assert_eq!(&compressed[..6], [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2].as_slice(), "the dictionary is announced");
    let received = Inflater::new().decompress(&compressed).unwrap();
    assert_eq!(received.get("streamtype"), Some("stdin"));
    assert_eq!(received.get("Port"), Some("80"));
}

#[test]
fn a_decompression_bomb_is_refused() {
    let mut compress = flate2::Compress::new(flate2::Compression::best(), true);
    let mut bomb = Vec::with_capacity(1 << 20);
    compress.compress_vec(&vec![0; 64 << 20], &mut bomb, flate2::FlushCompress::Finish).unwrap();
    assert!(bomb.len() < 100_000);
    assert!(Inflater::new().decompress(&bomb).is_err());
}

fn pair(tasks: &Tasks) -> (Connection, Connection, Incoming) {
    let (left, right) = duplex(4096);
    let (client, _, client_driver) = connect(left, Side::Client);
    let (server, incoming, server_driver) = connect(right, Side::Server);
    for driver in [Box::pin(client_driver) as futures::future::BoxFuture<'_, _>, Box::pin(server_driver)] {
        tasks.spawn("driver", OnEnd::Expected, async move { drop(driver.await) });
    }
    (client, server, incoming)
}

#[tokio::test(start_paused = true)]
async fn streams_carry_bytes_both_ways_and_end_by_halves() {
    let tasks = Tasks::new();
    let (client, _server, mut incoming) = pair(&tasks);
    let serve = async {
        let offer = incoming.next().await.unwrap();
        assert_eq!(offer.headers().get("streamType"), Some("data"));
        let mut stream = offer.accept();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
        stream.shutdown().await.unwrap();
        heard.len()
    };
    let ask = async {
        let mut stream = client.open(Headers::new([("streamType", "data")])).await.unwrap();
        let question = vec![7; 1 << 20];
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let send = async {
            writer.write_all(&question).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut answer = Vec::new();
        let ((), read) = tokio::join!(send, reader.read_to_end(&mut answer));
        read.unwrap();
        assert_eq!(answer, question);
    };
    let (heard, ()) = tokio::join!(serve, ask);
    assert_eq!(heard, 1 << 20);
    assert!(tasks.drain(Duration::from_secs(60)).await || tasks.alive() > 0);
}

#[tokio::test(start_paused = true)]
async fn refused_streams_say_so() {
    let tasks = Tasks::new();
    let (client, _server, mut incoming) = pair(&tasks);
    let (opened, ()) = tokio::join!(client.open(Headers::default()), async { drop(incoming.next().await) });
    assert_eq!(opened.unwrap_err(), Error::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_a_stream_after_its_data() {
    let tasks = Tasks::new();
    let (client, _server, mut incoming) = pair(&tasks);
    let serve = async {
        let mut stream = incoming.next().await.unwrap().accept();
        stream.write_all(b"status").await.unwrap();
        stream.reset();
    };
    let (stream, ()) = tokio::join!(client.open(Headers::default()), serve);
    let (mut stream, mut heard) = (stream.unwrap(), String::new());
    stream.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "status");
    assert!(stream.write_all(b"more").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_its_stream_and_no_other() {
    let tasks = Tasks::new();
    let (client, _server, mut incoming) = pair(&tasks);
    let (slow, held) = tokio::join!(client.open(Headers::default()), async { incoming.next().await.unwrap().accept() });
    let (fast, taken) =
        tokio::join!(client.open(Headers::default()), async { incoming.next().await.unwrap().accept() });
    let (mut slow, mut fast, mut taken) = (slow.unwrap(), fast.unwrap(), taken);
    let flood = tokio::time::timeout(Duration::from_secs(1), slow.write_all(&[0; 1 << 20])).await;
    assert!(flood.is_err(), "the window must close");
    fast.write_all(b"still here").await.unwrap();
    let mut heard = [0; 10];
    taken.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn dropping_everything_closes_the_connection_after_the_last_byte() {
    let (left, right) = duplex(4096);
    let (client, _, client_driver) = connect(left, Side::Client);
    let (server, mut incoming, server_driver) = connect(right, Side::Server);
    let serve = async move {
        let mut stream = incoming.next().await.unwrap().accept();
        stream.write_all(&[1; 100_000]).await.unwrap();
        drop((stream, incoming, server));
    };
    let ask = async move {
        let mut stream = client.open(Headers::default()).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        heard.len()
    };
    let (ended, served, (), heard) = tokio::join!(client_driver, server_driver, serve, ask);
    ended.unwrap();
    served.unwrap();
    assert_eq!(heard, 100_000);
}

#[tokio::test(start_paused = true)]
async fn floods_are_bounded() {
    let (mut peer, io) = duplex(1 << 16);
    let (_connection, mut incoming, driver) = connect(io, Side::Server);
    let tasks = Tasks::new();
    tasks.spawn("driver", OnEnd::Expected, async move { drop(driver.await) });
    // Pings whose answers nobody reads: the connection stops reading.
    let ping = Control::Ping { id: 1 }.encode(&mut Deflater::new()).unwrap();
    let flood = async {
        for _ in 0..1_000_000 {
            peer.write_all(&ping).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), flood).await.is_err());
    assert!(tokio::time::timeout(Duration::from_secs(1), incoming.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn streams_are_limited() {
    let tasks = Tasks::new();
    let (client, _server, incoming) = pair(&tasks);
    let accept = async move {
        let mut incoming = incoming;
        let mut streams = Vec::new();
        while let Some(offer) = incoming.next().await {
            streams.push(offer.accept());
        }
    };
    tasks.spawn("acceptor", OnEnd::Expected, accept);
    let mut streams = Vec::new();
    let refusal = loop {
        match client.open(Headers::default()).await {
            Ok(stream) => streams.push(stream),
            Err(error) => break error,
        }
        assert!(streams.len() <= 1024);
    };
    assert_eq!(refusal, Error::Streams);
}
