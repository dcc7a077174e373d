//! Input that nobody should send: refused with words, in bounded time and space, and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use apiserver::{Options, User};
use host::Host;
use http::Method;
use serde_json::{Value, json};
use store::disk::{Disk, Faults, FaultyDisk};
use store::{Embedded, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::server::{Api, open};

const CM: &str = "/api/v1/namespaces/default/configmaps";
const MIB: usize = 1 << 20;

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + &close.repeat(depth)
}

#[tokio::test(start_paused = true)]
async fn bad_patches_are_refused() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).await.ok();
    let path = format!("{CM}/a");
    let mut wrong = Vec::new();
    let deep = nested("{\"a\":", "}", 50_000).replace(":}", ":1}");
    let copies: Vec<Value> =
        (0..60).map(|n| json!({"op": "copy", "from": "/data", "path": format!("/data/k{n}")})).collect();
    let many = vec![json!({"op": "test", "path": "/data/k", "value": "v"}); 10_001];
    let patch = |op: &str, path: &str| json!([{"op": op, "path": path, "value": "x"}]).to_string();
    for (kind, body, expected) in [
        ("json-patch+json", patch("add", "/metadata/finalizers/99999999999999999999"), 422),
        ("json-patch+json", patch("add", "/data/18446744073709551616/x"), 422),
        ("json-patch+json", patch("replace", "/none/at/all"), 422),
        ("json-patch+json", patch("add", &"/a".repeat(20_000)), 400),
        ("json-patch+json", patch("jump", "/data"), 400),
        ("json-patch+json", json!(copies).to_string(), 413),
        ("json-patch+json", json!(many).to_string(), 413),
        ("json-patch+json", deep.clone(), 400),
        ("json-patch+json", "[".repeat(100_000), 400),
        ("merge-patch+json", deep.clone(), 400),
        ("merge-patch+json", "[]".to_owned(), 400),
        ("strategic-merge-patch+json", deep, 400),
        ("strategic-merge-patch+json", json!({"data": {"$patch": "explode"}}).to_string(), 400),
    ] {
        let media = format!("application/{kind}");
        let answer = api.ask(Method::PATCH, &path, &[("content-type", &media)], body.clone()).await;
        let what: String = body.chars().take(80).collect();
        let said = String::from_utf8_lossy(&answer.bytes[..answer.bytes.len().min(300)]).into_owned();
        if answer.status != expected {
            wrong.push(format!("{kind} {what}: {} {said}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(api.get(&path).await.ok()["data"], json!({"k": "v"}));
}

fn raw(api: &Api) -> DuplexStream {
    api.handle.connect(User::new("raw").group("system:authenticated")).expect("a connection")
}

/// Everything the server says until it hangs up, or a note that it did not in a generous time.
async fn heard(stream: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    match tokio::time::timeout(Duration::from_secs(600), stream.read_to_end(&mut bytes)).await {
        Ok(read) => drop(read.expect("readable")),
        Err(_) => return format!("still open after {:?}", String::from_utf8_lossy(&bytes)),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_keeps_nobody_out() {
    let host = Host::simulated("2026-01-01T00:00:00Z".parse().expect("a time"), 7);
    let store = Arc::new(Embedded::memory(&host).expect("a store"));
    let mut options = Options::new(store, |_| Ok(open()));
    options.limits.mutating = 2;
    let api = Api::run(options, host).await;
    let head = format!("POST {CM} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{{");
    let mut slow = Vec::new();
    for _ in 0..6 {
        let mut stream = raw(&api);
        stream.write_all(head.as_bytes()).await.expect("sent");
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = json!({"metadata": {"name": "quick"}}).to_string();
    let mut quick = raw(&api);
    let text =
        format!("POST {CM} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    quick.write_all(text.as_bytes()).await.expect("sent");
    let said = heard(&mut quick).await;
    assert!(said.starts_with("HTTP/1.1 201"), "{said}");
    api.post(CM, &json!({"metadata": {"name": "master"}})).await.ok();
    for mut stream in slow {
        let said = heard(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 408") && said.contains("did not arrive in time"), "{said}");
    }
    let mut after = raw(&api);
    after.write_all(text.replace("quick", "after").as_bytes()).await.expect("sent");
    let said = heard(&mut after).await;
    assert!(said.starts_with("HTTP/1.1 201"), "the places are free again: {said}");
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /` of some authority, as HPACK.
const GET: &[u8] = &[0x82, 0x87, 0x84, 0x41, 0x01, b'x'];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const CONTINUATION: u8 = 9;
const GOAWAY: u8 = 7;

/// Sends frames until the server hangs up or says that it goes away; false when it takes them all.
async fn flood(api: &Api, frames: impl Iterator<Item = Vec<u8>>) -> bool {
    let (mut reader, mut writer) = tokio::io::split(raw(api));
    let listen = async {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        while let Ok(read @ 1..) = reader.read(&mut chunk).await {
            bytes.extend_from_slice(&chunk[..read]);
            let mut rest = &bytes[..];
            while rest.len() >= 9 {
                let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
                if rest[3] == GOAWAY {
                    return;
                }
                let Some(next) = rest.get(9 + length..) else { break };
                rest = next;
            }
            bytes = rest.to_vec();
        }
    };
    let send = async {
        writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await?;
        for frame in frames {
            writer.write_all(&frame).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    let (mut listen, mut send) = (std::pin::pin!(listen), std::pin::pin!(send));
    tokio::select! {
        biased;
        () = &mut listen => true,
        sent = &mut send => sent.is_err() || tokio::time::timeout(Duration::from_secs(5), listen).await.is_ok(),
    }
}

#[tokio::test(start_paused = true)]
async fn abuse_of_http2_ends_the_connection() {
    let api = Api::start().await;
    let resets = (0..100_000_u32).map(|n| {
        let stream = 2 * n + 1;
        [frame(HEADERS, 0b101, stream, GET), frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    assert!(flood(&api, resets).await, "rapid resets");
    let endless = std::iter::once(frame(HEADERS, 0b001, 1, GET));
    let literal = [&[0x00, 0x01, b'a', 0x7f, 0x81, 0x07][..], &[b'x'; 256]].concat();
    let endless = endless.chain((0..10_000).map(|_| frame(CONTINUATION, 0, 1, &literal)));
    assert!(flood(&api, endless).await, "continuations without end");
    assert!(flood(&api, std::iter::once(frame(HEADERS, 0b101, 2, GET))).await, "a server's stream number");
    assert!(flood(&api, std::iter::once(vec![0xff; 9])).await, "a frame of 16 MB");
    api.get("/livez").await;
}

/// That such a watcher is cut in the end is tested where the queue is, at the cache.
#[tokio::test(start_paused = true)]
async fn a_watcher_that_does_not_read_delays_nobody() {
    let api = Api::start().await;
    let mut slow = api.watch(&format!("{CM}?watch=1")).await;
    let mut quick = api.watch(&format!("{CM}?watch=1")).await;
    // Much more than what lies in buffers between the two ends.
    let (count, body) = (300, "x".repeat(16 * 1024));
    for n in 0..count {
        api.post(CM, &json!({"metadata": {"name": format!("n{n}")}, "data": {"a": body}})).await.ok();
        assert_eq!(quick.brief().await.1, format!("n{n}"), "the other watcher sees everything at once");
    }
    for n in 0..count {
        assert_eq!(slow.brief().await.1, format!("n{n}"), "nothing is left out");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_leaves_a_server_that_reads() {
    let host = Host::simulated("2026-01-01T00:00:00Z".parse().expect("a time"), 7);
    let disk = FaultyDisk::new(3);
    let store: Arc<dyn Store> =
        Arc::new(Embedded::on(Arc::new(disk.clone()), store::Options::default(), &host).expect("a store"));
    let api = Api::run(Options::new(store, |_| Ok(open())), host).await;
    api.post(CM, &json!({"metadata": {"name": "before"}})).await.ok();
    let mut watch = api.watch(&format!("{CM}?watch=1")).await;
    assert_eq!(watch.brief().await.1, "before");
    assert_eq!(api.get("/readyz").await.status, 200);
    disk.set_faults(Faults { capacity: Some(disk.size().expect("a size")), ..Faults::default() });
    let large = json!({"metadata": {"generateName": "large-"}, "data": {"a": "x".repeat(MIB / 2)}});
    let refusal = loop {
        let answer = api.post(CM, &large).await;
        if !answer.status.is_success() {
            break answer;
        }
        watch.brief().await;
    };
    assert_eq!(refusal.status, 507, "{refusal:?}");
    assert!(refusal.json()["message"].as_str().is_some_and(|text| text.contains("no space left")), "{refusal:?}");
    assert_eq!(api.get(&format!("{CM}/before")).await.status, 200);
    let ready = api.get("/readyz").await;
    let text = String::from_utf8_lossy(&ready.bytes).into_owned();
    assert!(ready.status == 500 && text.contains("[-]store-writable failed"), "{text}");
    let check = api.get("/readyz/store-writable").await;
    assert!(String::from_utf8_lossy(&check.bytes).contains("no space left"), "{check:?}");
    assert_eq!(api.get("/livez").await.status, 200, "starting again would not help");
    disk.set_faults(Faults::default());
    api.post(CM, &json!({"metadata": {"name": "after"}})).await.ok();
    assert_eq!(watch.brief().await.1, "after");
    assert_eq!(api.get("/readyz").await.status, 200);
}
