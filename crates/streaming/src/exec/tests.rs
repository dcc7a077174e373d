//! Sessions between this crate's two ends over a real HTTP upgrade.

use std::time::Duration;

use host::{OnEnd, Tasks};
use http::{Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::client::{Carrier, exec_request, exec_spdy, exec_websocket};
use crate::{Exit, Upgrade, upgrade};

/// Serves one connection with a session that repeats stdin to stdout, says `warning` on stderr, waits for a terminal
/// size when there is a terminal, and exits with `exit`.
fn serve(streams: Streams, exit: Exit, tasks: &Tasks) -> tokio::io::DuplexStream {
    let (client, server) = duplex(8192);
    let inner = tasks.clone();
    let service = service_fn(move |mut request| {
        let response = match accept(&mut request, streams, &inner) {
            Ok(accepted) => {
                let exit = exit.clone();
                inner.spawn(
                    "session",
                    OnEnd::Expected,
                    async move { run(accepted.session.await.unwrap(), exit).await },
                );
                accepted.response
            }
            Err(error) => error.response(),
        };
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    tasks.spawn("server", OnEnd::Expected, async move {
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        drop(connection.with_upgrades().await);
    });
    client
}

async fn run(mut session: Session, exit: Exit) {
    if let (Some(stdin), Some(stdout)) = (&mut session.stdin, &mut session.stdout) {
        tokio::io::copy(stdin, stdout).await.unwrap();
    }
    if let Some(stderr) = &mut session.stderr {
        stderr.write_all(b"warning").await.unwrap();
    }
    if let Some(size) = session.resize.recv().await {
        let text = format!("{}x{}", size.width, size.height);
        session.stdout.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }
    drop((session.stdout, session.stderr));
    session.status.finish(exit).await;
}

async fn open(
    version: &'static str,
    carrier: Carrier,
    streams: Streams,
    exit: Exit,
    tasks: &Tasks,
) -> crate::client::Session {
    let io = serve(streams, exit, tasks);
    let request = exec_request("/exec", carrier, version).unwrap();
    let Upgrade::Switched { response, io } = upgrade(io, request, tasks).await.unwrap() else { panic!("refused") };
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    match carrier {
        Carrier::Spdy => exec_spdy(io, streams, tasks).await.unwrap(),
        Carrier::WebSocket => exec_websocket(io, version, streams, tasks).await.unwrap(),
    }
}

const ALL: Streams = Streams { stdin: true, stdout: true, stderr: true, tty: false };

#[tokio::test(start_paused = true)]
async fn a_session_carries_streams_and_the_exit_code() {
    for (carrier, version) in [
        (Carrier::Spdy, "v4.channel.k8s.io"),
        (Carrier::Spdy, "v3.channel.k8s.io"),
        (Carrier::WebSocket, "v5.channel.k8s.io"),
    ] {
        let tasks = Tasks::new();
        let mut session = open(version, carrier, ALL, Exit::Code(7), &tasks).await;
        let (mut stdin, mut stdout) = (session.stdin.take().unwrap(), session.stdout.take().unwrap());
        let mut stderr = session.stderr.take().unwrap();
        let input: Vec<u8> = (0..300_000_u32).map(|i| i as u8).collect();
        let feed = async {
            stdin.write_all(&input).await.unwrap();
            stdin.shutdown().await.unwrap();
        };
        let (mut output, mut warning) = (Vec::new(), String::new());
        let ((), out, err, status) =
            tokio::join!(feed, stdout.read_to_end(&mut output), stderr.read_to_string(&mut warning), session.status(),);
        assert!(out.is_ok() && err.is_ok());
        assert_eq!(output, input, "{version}");
        assert_eq!(warning, "warning", "{version}");
        let status = String::from_utf8(status.unwrap()).unwrap();
        match version {
            "v3.channel.k8s.io" => assert_eq!(status, "command terminated with non-zero exit code: exit status 7"),
            _ => assert!(status.contains(r#""reason":"NonZeroExitCode""#), "{status}"),
        }
        tasks.drain(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_terminal_has_a_size_and_no_stderr() {
    for (carrier, version) in [
        (Carrier::Spdy, "v4.channel.k8s.io"),
        (Carrier::WebSocket, "v4.channel.k8s.io"),
        (Carrier::WebSocket, "v4.base64.channel.k8s.io"),
    ] {
        let tasks = Tasks::new();
        let streams = Streams { stdout: true, tty: true, ..Streams::default() };
        let mut session = open(version, carrier, streams, Exit::Success, &tasks).await;
        assert!(session.stderr.is_none());
        session.resize.as_mut().unwrap().write_all(br#"{"Width":80,"Height":24}"#).await.unwrap();
        let mut output = String::new();
        session.stdout.take().unwrap().read_to_string(&mut output).await.unwrap();
        assert_eq!(output, "80x24", "{version}");
        assert_eq!(session.status().await.unwrap(), br#"{"metadata":{},"status":"Success"}"#);
        tasks.drain(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_ends_with_its_session() {
    let tasks = Tasks::new();
    let io = serve(Streams { stdout: true, ..Streams::default() }, Exit::Success, &tasks);
    let request = exec_request("/exec", Carrier::WebSocket, "v5.channel.k8s.io").unwrap();
    let Upgrade::Switched { mut io, .. } = upgrade(io, request, &tasks).await.unwrap() else { panic!("refused") };
    let started = tokio::time::Instant::now();
    // This client never answers the closing handshake.
    io.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed() {
    for (carrier, version) in [(Carrier::Spdy, "v4.channel.k8s.io"), (Carrier::WebSocket, "v5.channel.k8s.io")] {
        let tasks = Tasks::new();
        let clients = Tasks::new();
        let io = {
            let (client, server) = duplex(8192);
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let sender = std::sync::Mutex::new(Some(sender));
            let inner = tasks.clone();
            let service = service_fn(move |mut request| {
                let accepted = accept(&mut request, ALL, &inner).unwrap();
                drop(sender.lock().unwrap().take().unwrap().send(accepted.session));
                async move { Ok::<_, std::convert::Infallible>(accepted.response) }
            });
            tasks.spawn("server", OnEnd::Expected, async move {
                let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
                drop(server.with_upgrades().await);
            });
            (client, receiver)
        };
        let request = exec_request("/exec", carrier, version).unwrap();
        let Upgrade::Switched { io: upgraded, .. } = upgrade(io.0, request, &clients).await.unwrap() else { panic!() };
        let opening = async {
            match carrier {
                Carrier::Spdy => exec_spdy(upgraded, ALL, &clients).await.unwrap(),
                Carrier::WebSocket => exec_websocket(upgraded, version, ALL, &clients).await.unwrap(),
            }
        };
        let (session, opened) = tokio::join!(async { io.1.await.unwrap().await.unwrap() }, opening);
        clients.drain(Duration::from_secs(10)).await;
        drop(opened);
        session.closed.cancelled().await;
    }
}

#[test]
fn refusals_are_http_answers() {
    let tasks = Tasks::new();
    let check = |headers: &[(&str, &str)], streams: Streams, expected: StatusCode| {
        let mut request = Request::get("/exec");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let error = accept(&mut request.body(()).unwrap(), streams, &tasks).unwrap_err();
        let response: Response<_> = error.response();
        assert_eq!(response.status(), expected, "{headers:?}: {error}");
    };
    check(&[], ALL, StatusCode::BAD_REQUEST);
    check(&[("connection", "upgrade"), ("upgrade", "h2c")], ALL, StatusCode::BAD_REQUEST);
    let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    check(&spdy, Streams { tty: true, stderr: true, ..Streams::default() }, StatusCode::BAD_REQUEST);
    check(&[spdy[0], spdy[1], ("x-stream-protocol-version", "v9.channel.k8s.io")], ALL, StatusCode::FORBIDDEN);
    let websocket = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    check(&websocket, ALL, StatusCode::BAD_REQUEST);
    let protocol = ("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io");
    check(&[websocket[0], websocket[1], websocket[2], protocol], ALL, StatusCode::FORBIDDEN);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_websocket_bytes_end_the_session_at_worst(bytes in proptest::collection::vec(any::<u8>(), 0..1000)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let tasks = Tasks::new();
            let io = serve(ALL, Exit::Success, &tasks);
            let request = exec_request("/exec", Carrier::WebSocket, "v5.channel.k8s.io").unwrap();
            let Upgrade::Switched { mut io, .. } = upgrade(io, request, &tasks).await.unwrap() else { panic!() };
            let _ = io.write_all(&bytes).await;
            drop(io);
            tasks.drain(Duration::from_secs(60)).await;
        });
    }
}
