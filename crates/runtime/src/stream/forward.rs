//! Port-forwards: connections into a sandbox's network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use host::{OnEnd, Tasks};
use http::Request;
use hyper::body::Incoming;
use shim::protocol::{Answer, Request as ShimRequest};
use streaming::Forward;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::Accepted;
use super::session::copy;
use crate::engine::Engine;
use crate::error::{Attempt as _, Result};
use crate::shim::unexpected;

/// How long a client may go on to send to a pod that has ended its own direction.
const GRACE: Duration = Duration::from_secs(1);

/// Accepts a session of port-forwards.
pub(super) fn forward(
    engine: Arc<Engine>,
    forward: cri::PortForwardRequest,
    request: &mut Request<Incoming>,
    tasks: &Tasks,
) -> Result<Accepted, streaming::Error> {
    let ports: Vec<u16> = forward.port.iter().filter_map(|port| u16::try_from(*port).ok()).collect();
    let accepted = streaming::accept_forward(request, &ports, tasks)?;
    let tasks = tasks.clone();
    let work = async move {
        let mut forwards = match accepted.session.await {
            Ok(forwards) => forwards,
            Err(e) => return tracing::debug!(error = %e, "opening a session of port-forwards"),
        };
        while let Some(one) = forwards.next().await {
            let (engine, sandbox) = (engine.clone(), forward.pod_sandbox_id.clone());
            tasks.spawn("port-forward", OnEnd::Expected, async move { run(&engine, &sandbox, one).await });
        }
    };
    Ok((accepted.response, work.boxed()))
}

async fn run(engine: &Engine, sandbox: &str, forward: Forward) {
    let Forward { port, data, mut error } = forward;
    match connect(engine, sandbox, port).await {
        Ok(stream) => {
            drop(error);
            join(data, stream).await;
        }
        Err(e) => {
            let message = format!("error forwarding port {port} to pod {sandbox}: {}", e.words());
            // The client may have gone meanwhile.
            let _ = error.write_all(message.as_bytes()).await;
            let _ = error.shutdown().await;
        }
    }
}

/// Copies in both directions. A client that has ended its own is answered for as long as the pod likes. When the pod has
/// ended, the client has a moment to do so too: over WebSocket channels it learns of it only by the end of everything.
async fn join(client: impl AsyncRead + AsyncWrite, pod: impl AsyncRead + AsyncWrite) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_pod, to_pod) = tokio::io::split(pod);
    let (questions, answers) = (copy(Some(from_client), Some(to_pod)), copy(Some(from_pod), Some(to_client)));
    tokio::pin!(questions, answers);
    tokio::select! {
        () = &mut questions => answers.await,
        () = &mut answers => drop(tokio::time::timeout(GRACE, questions).await),
    }
}

/// Connects to a port on the loopback of a sandbox.
async fn connect(engine: &Engine, sandbox: &str, port: u16) -> Result<TcpStream> {
    let sandbox = engine.sandbox(sandbox)?;
    let (answer, sockets) = sandbox.shim.exchange(ShimRequest::Sockets, Vec::new()).await?;
    let Answer::Sockets { .. } = answer else { return Err(unexpected(&answer)) };
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut first = None;
    for (socket, address) in sockets.into_iter().zip(addresses) {
        match dial(socket, SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(e) => drop(first.get_or_insert(e)),
        }
    }
    Err(first.unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
        .attempt(|| format!("connecting to 127.0.0.1:{port}"))
}

async fn dial(socket: OwnedFd, address: SocketAddr) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(socket.into()).connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_ended_is_still_answered() {
        let ((mut client, near), (far, mut pod)) = (duplex(64), duplex(64));
        let talk = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = String::new();
            pod.read_to_string(&mut heard).await.unwrap();
            sleep(GRACE * 100).await;
            pod.write_all(b"answer").await.unwrap();
            drop(pod);
            client.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "questionanswer");
        };
        tokio::join!(join(near, far), talk);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_has_ended_ends_the_connection() {
        let ((_client, near), (far, pod)) = (duplex(64), duplex(64));
        drop(pod);
        let started = Instant::now();
        join(near, far).await;
        assert_eq!(started.elapsed(), GRACE);
    }
}
