//! Port-forward between this crate's two ends over a real HTTP upgrade.

use std::time::Duration;

use host::{OnEnd, Tasks};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::client::{Carrier, Forwarder, forward_request};
use crate::spdy::{Headers, Side, connect};
use crate::{Upgrade, upgrade};

/// Serves one connection: even ports repeat what they hear, odd ones cannot be reached.
fn serve(ports: &'static [u16], tasks: &Tasks) -> DuplexStream {
    let (client, server) = duplex(8192);
    let inner = tasks.clone();
    let service = service_fn(move |mut request| {
        let accepted = accept_forward(&mut request, ports, &inner).unwrap();
        let tasks = inner.clone();
        inner.spawn("forwards", OnEnd::Expected, async move {
            let mut forwards = accepted.session.await.unwrap();
            while let Some(forward) = forwards.next().await {
                tasks.spawn("forward", OnEnd::Expected, echo(forward));
            }
        });
        async move { Ok::<_, std::convert::Infallible>(accepted.response) }
    });
    tasks.spawn("server", OnEnd::Expected, async move {
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        drop(connection.with_upgrades().await);
    });
    client
}

async fn echo(mut forward: Forward) {
    if forward.port % 2 == 1 {
        let why = format!("error forwarding port {}: connection refused", forward.port);
        return forward.error.write_all(why.as_bytes()).await.unwrap();
    }
    let (mut reader, mut writer) = tokio::io::split(forward.data);
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_share_one_upgrade() {
    for carrier in [Carrier::Spdy, Carrier::WebSocket] {
        let tasks = Tasks::new();
        let io = serve(&[], &tasks);
        let request = forward_request("/portforward", carrier).unwrap();
        let Upgrade::Switched { io, .. } = upgrade(io, request, &tasks).await.unwrap() else { panic!("refused") };
        let forwarder = Forwarder::new(io, carrier, &tasks).await;
        let (mut good, mut bad) = (forwarder.open(80).await.unwrap(), forwarder.open(81).await.unwrap());
        let mut why = String::new();
        bad.error.read_to_string(&mut why).await.unwrap();
        assert_eq!(why, "error forwarding port 81: connection refused");
        let sent = vec![9; 500_000];
        let (mut reader, mut writer) = tokio::io::split(good.data);
        let send = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let ((), read) = tokio::join!(send, reader.read_to_end(&mut heard));
        read.unwrap();
        assert_eq!(heard, sent);
        good.error.read_to_string(&mut why).await.unwrap();
        tasks.drain(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn websocket_channels_name_their_ports_first() {
    let tasks = Tasks::new();
    let io = serve(&[80, 81], &tasks);
    let request = crate::client::exec_request("/portforward?port=80&port=81", Carrier::WebSocket, "v4.channel.k8s.io");
    let Upgrade::Switched { io, .. } = upgrade(io, request.unwrap(), &tasks).await.unwrap() else { panic!("refused") };
    // An exec client has channels 1 to 3: the error channel of the first port and both of the second.
    let streams = crate::Streams { stdout: true, stderr: true, ..crate::Streams::default() };
    let mut client = crate::client::exec_websocket(io, "v4.channel.k8s.io", streams, &tasks).await.unwrap();
    let mut port = [0; 2];
    client.stdout.as_mut().unwrap().read_exact(&mut port).await.unwrap();
    assert_eq!(port, 80_u16.to_le_bytes());
    client.stderr.as_mut().unwrap().read_exact(&mut port).await.unwrap();
    assert_eq!(port, 81_u16.to_le_bytes());
    tasks.drain(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn halves_of_pairs_expire_and_nonsense_is_refused() {
    let tasks = Tasks::new();
    let io = serve(&[], &tasks);
    let request = forward_request("/portforward", Carrier::Spdy).unwrap();
    let Upgrade::Switched { io, .. } = upgrade(io, request, &tasks).await.unwrap() else { panic!("refused") };
    let (connection, _, driver) = connect(io, Side::Client);
    tasks.spawn("client", OnEnd::Expected, async move { drop(driver.await) });
    let open = async |pairs: &[(&str, &str)]| connection.open(Headers::new(pairs.iter().copied())).await;
    for nonsense in [
        &[("streamType", "error"), ("port", "0")][..],
        &[("streamType", "error"), ("port", "65536")],
        &[("streamType", "other"), ("port", "80")],
        &[("port", "80")],
        &[("streamType", "data")],
    ] {
        assert_eq!(open(nonsense).await.unwrap_err(), crate::spdy::Error::Refused, "{nonsense:?}");
    }
    let mut half = open(&[("streamType", "error"), ("port", "80"), ("requestID", "9")]).await.unwrap();
    let mut why = String::new();
    half.read_to_string(&mut why).await.unwrap();
    assert_eq!(why, "timed out waiting for the data stream of request 9");
}
