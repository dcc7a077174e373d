//! The name server on loopback, asked as clients do.

#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dns::{Responder, Server, Source, Upstream, Zone};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable;
use host::{Host, OnEnd};
use informer::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

const LOCALHOST: &str = "127.0.0.1:0";

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn responder(addresses: u8) -> Responder {
    let mut zone = Zone::new(&name("cluster.local."), Vec::new(), &[]);
    let many = name("many.default.svc.cluster.local.");
    let entries = (0..addresses).map(|n| (many.clone(), Some(RData::A(A([10, 42, 0, n].into()))))).collect();
    zone.set(Source::Service(Key::new(Some("default"), "many")), entries);
    Responder::new(zone)
}

async fn server(host: &Host, responder: Responder, resolv_conf: &Path) -> SocketAddr {
    let upstream = Upstream::new(resolv_conf.into(), Vec::new(), host.entropy.clone());
    let server = Server::bind(&[LOCALHOST.parse().unwrap()], responder, upstream, host).await.unwrap();
    let address = server.addresses()[0];
    server.start();
    address
}

fn query(text: &str, payload: Option<u16>) -> Message {
    let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name(text), RecordType::A));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        query.set_edns(edns);
    }
    query
}

async fn ask(server: SocketAddr, query: &Message) -> Message {
    let socket = UdpSocket::bind(LOCALHOST).await.unwrap();
    socket.send_to(&query.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 4096];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_bytes(&buffer[..length]).unwrap()
}

async fn ask_stream(stream: &mut TcpStream, query: &Message) -> Message {
    let bytes = query.to_vec().unwrap();
    stream.write_u16(bytes.len() as u16).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut buffer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut buffer).await.unwrap();
    Message::from_bytes(&buffer).unwrap()
}

#[tokio::test]
async fn long_answers_are_cut_and_whole_over_tcp() {
    let host = Host::system();
    let server = server(&host, responder(200), Path::new("/nonexistent")).await;
    let many = "many.default.svc.cluster.local.";
    for payload in [None, Some(1232), Some(65_535)] {
        let answer = ask(server, &query(many, payload)).await;
        assert!(answer.metadata.truncation && answer.answers.is_empty(), "{payload:?}");
        assert_eq!(answer.edns.is_some(), payload.is_some(), "EDNS only for those who speak it");
    }
    let mut stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..2 {
        assert_eq!(ask_stream(&mut stream, &query(many, None)).await.answers.len(), 200);
    }
    assert!(host.tasks.drain(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn answers_take_turns() {
    let host = Host::system();
    let server = server(&host, responder(3), Path::new("/nonexistent")).await;
    let mut first = std::collections::BTreeSet::new();
    for id in 0..3 {
        let mut query = query("many.default.svc.cluster.local.", None);
        query.metadata.id = id;
        let answer = ask(server, &query).await;
        assert_eq!((answer.metadata.id, answer.answers.len()), (id, 3));
        first.insert(answer.answers[0].data.to_string());
    }
    assert_eq!(first.len(), 3);
    assert!(host.tasks.drain(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn without_upstream_failure_is_quick() {
    let host = Host::system();
    let server = server(&host, responder(0), Path::new("/nonexistent")).await;
    let start = Instant::now();
    assert_eq!(ask(server, &query("example.com.", None)).await.metadata.response_code, ResponseCode::ServFail);
    assert!(start.elapsed() < Duration::from_secs(1));
    let mut version = query("many.default.svc.cluster.local.", Some(1232));
    version.edns.as_mut().unwrap().set_version(1);
    // BADVERS and BADSIG share the number 16.
    assert_eq!(u16::from(ask(server, &version).await.metadata.response_code), 16);
    assert!(host.tasks.drain(Duration::from_secs(5)).await);
}

/// Another name server that answers everything with one address.
async fn other(host: &Host, address: &str) -> SocketAddr {
    let socket = UdpSocket::bind(address).await.unwrap();
    let bound = socket.local_addr().unwrap();
    host.tasks.spawn("other", OnEnd::Expected, async move {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_bytes(&buffer[..length]).unwrap();
            let mut answer = query.clone().into_response();
            let data = RData::A(A([192, 0, 2, 7].into()));
            answer.add_answer(Record::from_rdata(query.queries[0].name().clone(), 60, data));
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    });
    bound
}

#[path = "../../netfilter/tests/support/namespace.rs"]
mod namespace;

#[test]
fn upstream_is_asked_once_and_followed_when_it_moves() {
    namespace::isolated(|| {
        namespace::run("ip addr add 192.0.2.53/32 dev lo");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = Host::system();
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("resolv.conf");
            std::fs::write(&file, "").unwrap();
            let server = server(&host, responder(1), &file).await;
            let question = query("example.com.", Some(1232));
            assert_eq!(ask(server, &question).await.metadata.response_code, ResponseCode::ServFail);
            let upstream = host.tasks.child();
            let upstream_host = Host { tasks: upstream.clone(), ..host.clone() };
            other(&upstream_host, "192.0.2.53:53").await;
            let older = std::fs::File::options().write(true).open(&file).unwrap();
            std::fs::write(&file, "nameserver 192.0.2.53\n").unwrap();
            older.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            let answer = ask(server, &question).await;
            assert_eq!(answer.answers[0].data.to_string(), "192.0.2.7");
            assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
            namespace::run("ip addr del 192.0.2.53/32 dev lo");
            assert_eq!(ask(server, &question).await.answers.len(), 1, "from the cache");
        });
    });
}
