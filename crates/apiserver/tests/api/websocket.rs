//! Watches over WebSocket.

use apiserver::User;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::Api;

const CM: &str = "/api/v1/namespaces/default/configmaps";

type Socket = WebSocketStream<DuplexStream>;

async fn open(api: &Api, path: &str, headers: &[(&'static str, &str)]) -> Result<(Socket, HeaderMap), Error> {
    let user = User::new("tester").group("system:masters");
    let stream = api.handle.connect(user).expect("a connection");
    let key = tokio_tungstenite::tungstenite::handshake::client::generate_key();
    let mut request = Request::builder()
        .uri(format!("ws://test{path}"))
        .header("host", "test")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (socket, response) = tokio_tungstenite::client_async(request.body(()).expect("a request"), stream).await?;
    Ok((socket, response.headers().clone()))
}

/// The next message that is an event.
async fn next(socket: &mut Socket) -> Value {
    match socket.next().await.expect("a message").expect("a message") {
        Message::Text(text) => serde_json::from_str(&text).expect("an event"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_event_is_a_message() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let (mut socket, _) = open(&api, &format!("{CM}?watch=1"), &[]).await.expect("a watch");
    let event = next(&mut socket).await;
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    api.delete(&format!("{CM}/a")).await.ok();
    assert_eq!(next(&mut socket).await["type"], "DELETED");
    // What a client says is answered as WebSocket demands, and otherwise ignored.
    socket.send(Message::Ping("are you there".into())).await.expect("sent");
    assert_eq!(socket.next().await.expect("a message").expect("a pong"), Message::Pong("are you there".into()));
    socket.send(Message::Text("whatever".into())).await.expect("sent");
    api.post(CM, &json!({"metadata": {"name": "b"}})).await.ok();
    assert_eq!(next(&mut socket).await["object"]["metadata"]["name"], "b");
    socket.close(None).await.expect("closed");
    while let Some(message) = socket.next().await {
        assert!(matches!(message, Ok(Message::Close(_))), "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_has_a_code() {
    let api = Api::start().await;
    let (mut socket, _) = open(&api, &format!("{CM}?watch=1&timeoutSeconds=5"), &[]).await.expect("a watch");
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close") };
    assert_eq!(frame.code, CloseCode::Normal);
    // A revision that is gone is said in the stream, as without WebSocket.
    let (mut socket, _) = open(&api, &format!("{CM}?watch=1&resourceVersion=1"), &[]).await.expect("a watch");
    api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let event = next(&mut socket).await;
    assert!(event["type"] == "ADDED" || event["object"]["code"] == 410, "{event}");
}

#[tokio::test(start_paused = true)]
async fn subprotocols_and_refusals() {
    let api = Api::start().await;
    let path = format!("{CM}?watch=1");
    let offered = |offer: &'static str| [("sec-websocket-protocol", offer)];
    let (_, headers) = open(&api, &path, &offered("base64.binary.k8s.io, x")).await.expect("a watch");
    assert_eq!(headers["sec-websocket-protocol"], "base64.binary.k8s.io");
    let (_, headers) = open(&api, &path, &[]).await.expect("a watch");
    assert!(!headers.contains_key("sec-websocket-protocol"));
    let code = |outcome: Result<(Socket, HeaderMap), Error>| match outcome {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(open(&api, "/api/v1/namespaces/default/none?watch=1", &[]).await), 404);
    assert_eq!(code(open(&api, &format!("{CM}?watch=1&labelSelector=%21%21"), &[]).await), 400);
    let wrong = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "8")];
    assert_eq!(api.ask(http::Method::GET, &path, &wrong, "").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn the_legacy_paths_watch_too() {
    let api = Api::start().await;
    for name in ["a", "b"] {
        api.post(CM, &json!({"metadata": {"name": name}})).await.ok();
    }
    for (path, expected) in [
        ("/api/v1/watch/configmaps", vec!["a", "b"]),
        ("/api/v1/watch/namespaces/default/configmaps", vec!["a", "b"]),
        ("/api/v1/watch/namespaces/default/configmaps/b", vec!["b"]),
        ("/api/v1/watch/namespaces", vec!["default"]),
        ("/api/v1/watch/namespaces/default", vec!["default"]),
        ("/apis/apps/v1/watch/namespaces/default/deployments?timeoutSeconds=1", vec![]),
    ] {
        let mut lines = api.watch(path).await;
        let (mut socket, _) = open(&api, path, &[]).await.expect("a watch");
        for name in &expected {
            let (kind, found, _) = lines.brief().await;
            assert_eq!((kind.as_str(), found.as_str()), ("ADDED", *name), "{path}");
            assert_eq!(next(&mut socket).await["object"]["metadata"]["name"], *name, "{path}");
        }
        if expected.is_empty() {
            assert_eq!(lines.next().await, None, "{path}");
        }
    }
}
