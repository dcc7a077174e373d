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

/// A body, its media type, and what is said to it.
type Case = (&'static str, Vec<u8>, u16, &'static str);

fn map(data: &str) -> Vec<u8> {
    format!(r#"{{"metadata":{{"name":"x"}},"data":{data}}}"#).into_bytes()
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + &close.repeat(depth)
}

fn bodies() -> Vec<Case> {
    let json = "application/json";
    let yaml = "application/yaml";
    let bomb = |levels: usize| {
        let line = |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
        let lines: String = (1..levels).map(line).collect();
        format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{lines}").into_bytes()
    };
    let labels: serde_json::Map<String, Value> = (0..40_000).map(|n| (format!("Wrong Key {n}"), "v".into())).collect();
    let annotations = json!({"metadata": {"name": "x", "annotations": {"a": "x".repeat(256 * 1024)}}});
    vec![
        (json, b"".to_vec(), 400, ""),
        (json, b"null".to_vec(), 400, ""),
        (json, b"{".to_vec(), 400, "parse JSON"),
        (json, b"{} {}".to_vec(), 400, "parse JSON"),
        (json, nested("[", "]", 200_000).into_bytes(), 400, "cannot be handled as a ConfigMap"),
        (json, nested("{\"a\":", "}", 200_000).into_bytes(), 400, "parse JSON"),
        (json, map(&format!("{{\"a\":{}}}", nested("[", "]", 100_000))), 400, "cannot"),
        (json, b"{\"metadata\":{\"name\":\"\xff\xfe\"}}".to_vec(), 400, "parse JSON"),
        (json, br#"{"metadata":{"name":"\ud800"}}"#.to_vec(), 400, "parse JSON"),
        (json, br#"{"metadata":{"name":"a\u0000b"}}"#.to_vec(), 422, "metadata.name: Invalid value"),
        (json, br#"{"metadata":{"name":"x","generation":1e400}}"#.to_vec(), 400, "out of range"),
        (
            json,
            br#"{"metadata":{"name":"x","generation":99999999999999999999}}"#.to_vec(),
            400,
            "cannot unmarshal number",
        ),
        (json, json!({"metadata": {"name": "x", "labels": labels}}).to_string().into_bytes(), 422, "metadata.labels"),
        (json, annotations.to_string().into_bytes(), 422, "Too long: may not be more than 262144 bytes"),
        (json, map(&format!("{{\"a\":\"{}\"}}", "x".repeat(MIB + 1))), 422, "Too long"),
        (json, vec![b' '; 3 * MIB + 1], 413, "Request entity is too large: limit is 3145728"),
        (yaml, nested("[", "]", 100_000).into_bytes(), 400, "parse YAML"),
        (yaml, nested("- ", "", 10_000).into_bytes(), 400, "cannot be handled"),
        (yaml, bomb(9), 400, "parse YAML"),
        (yaml, b"a: &a [*a]".to_vec(), 400, ""),
        (yaml, b"metadata: {name: \xff}".to_vec(), 400, "not UTF-8"),
        (yaml, vec![b'&'; MIB], 400, "cannot be handled"),
        ("application/vnd.kubernetes.protobuf", b"k8s\0\x12\xff\xff\xff\xff\x7f".to_vec(), 400, "parse protobuf"),
        ("application/vnd.kubernetes.protobuf", b"k8s\0\x12\x04\x0a\x02\x0a\xff".to_vec(), 400, "parse protobuf"),
        ("application/vnd.kubernetes.protobuf", vec![0xff; MIB], 400, "parse protobuf"),
        ("text/html", b"{}".to_vec(), 415, "the body of the request was in an unknown format"),
    ]
}

#[tokio::test(start_paused = true)]
async fn bad_bodies_are_refused() {
    let api = Api::start().await;
    let mut wrong = Vec::new();
    for (media, body, status, words) in bodies() {
        let what = format!("{media} {:?}", String::from_utf8_lossy(&body[..body.len().min(80)]));
        let answer = api.ask(Method::POST, CM, &[("content-type", media)], body).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        let short: String = text.chars().take(300).collect();
        let sound = answer.status == status && text.contains(words) && text.contains("\"kind\":\"Status\"");
        if !sound || text.len() > 64 * 1024 {
            wrong.push(format!("{what}: {} with {} bytes: {short}", answer.status, text.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let twice = br#"{"metadata":{"name":"twice"},"data":{"a":"1"},"data":{"a":"2"}}"#.to_vec();
    let strict = api.ask(Method::POST, &format!("{CM}?fieldValidation=Strict"), &[], twice.clone()).await;
    assert!(strict.json()["message"].as_str().is_some_and(|text| text.contains("duplicate field \"data\"")));
    let warned = api.ask(Method::POST, CM, &[], twice).await;
    assert!(warned.header("warning").contains("duplicate field") && warned.ok()["data"]["a"] == "2");
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

#[tokio::test(start_paused = true)]
async fn bad_request_lines_are_refused() {
    let api = Api::start().await;
    let long = "x".repeat(60_000);
    let terms = vec!["metadata.name!=x"; 3000].join(",");
    let mut wrong = Vec::new();
    for (path, expected) in [
        (format!("{CM}/%zz"), vec![404]),
        (format!("{CM}/%ff%fe"), vec![400]),
        (format!("{CM}/%00"), vec![404]),
        (format!("{CM}/a%2Fb"), vec![404]),
        ("/api/v1/namespaces/..%2F..%2Fkube-system/secrets".to_owned(), vec![200]),
        ("/api/v1/namespaces/default/configmaps/../../kube-system/secrets".to_owned(), vec![404]),
        (format!("{CM}/{long}"), vec![404]),
        (format!("/{}", "a/".repeat(30_000)), vec![404]),
        (format!("{CM}?labelSelector={long}"), vec![400]),
        (format!("{CM}?labelSelector=a+in+({})", "b,".repeat(20_000)), vec![200, 400]),
        (format!("{CM}?labelSelector={}", "(".repeat(50_000)), vec![400]),
        (format!("{CM}?fieldSelector={terms}"), vec![200]),
        (format!("{CM}?fieldSelector=spec.{}=1", "a.".repeat(20_000)), vec![400]),
        (format!("{CM}?limit=99999999999999999999"), vec![400]),
        (format!("{CM}?limit=-1"), vec![200]),
        (format!("{CM}?continue=%00%ff{}", "A".repeat(10_000)), vec![400]),
        (format!("{CM}?resourceVersion=18446744073709551616"), vec![422]),
        (format!("{CM}?resourceVersion=-1"), vec![422]),
        (format!("{CM}?timeout=99999999999999999999h"), vec![400]),
        (format!("{CM}?watch=1&timeoutSeconds=99999999999999999999"), vec![400]),
        (format!("{CM}?{}", "a=b&".repeat(10_000)), vec![200]),
        (format!("{CM}?%zz=%zz&%ff"), vec![200]),
    ] {
        let answer = api.get(&path).await;
        let what: String = path.chars().take(120).collect();
        let said = String::from_utf8_lossy(&answer.bytes[..answer.bytes.len().min(300)]).into_owned();
        if !expected.contains(&answer.status.as_u16()) || answer.bytes.len() > 256 * 1024 {
            wrong.push(format!("{what}: {} {said}", answer.status));
        }
        if answer.status == 200 && path.contains("kube-system") {
            assert_eq!(answer.json()["items"], json!([]), "{what}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
async fn heads_are_bounded_in_size_and_time() {
    let api = Api::start().await;
    for (head, expected) in [
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500)), "HTTP/1.1 431"),
        (format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(MIB)), "HTTP/1.1 431"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)), "HTTP/1.1 414"),
        ("GET / HTTP/1.1\r\na b: c\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("\0\0\0\0\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        // Never finished: ends after a while, with or without words.
        ("GET / HTTP/1.1\r\nhost: x\r\n".to_owned(), ""),
        (String::new(), ""),
    ] {
        let mut stream = raw(&api);
        // The server may hang up before it has read everything.
        let _ = stream.write_all(head.as_bytes()).await;
        let said = heard(&mut stream).await;
        let what: String = head.chars().take(60).collect();
        let open = said.starts_with("still open");
        assert!(said.starts_with(expected) && !open, "{what:?}: {:?}", said.chars().take(100).collect::<String>());
    }
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
    assert!(Box::pin(flood(&api, resets)).await, "rapid resets");
    let endless = std::iter::once(frame(HEADERS, 0b001, 1, GET));
    let literal = [&[0x00, 0x01, b'a', 0x7f, 0x81, 0x07][..], &[b'x'; 256]].concat();
    let endless = endless.chain((0..10_000).map(|_| frame(CONTINUATION, 0, 1, &literal)));
    assert!(Box::pin(flood(&api, endless)).await, "continuations without end");
    assert!(Box::pin(flood(&api, std::iter::once(frame(HEADERS, 0b101, 2, GET)))).await, "a server's stream number");
    assert!(Box::pin(flood(&api, std::iter::once(vec![0xff; 9]))).await, "a frame of 16 MB");
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
