//! The sockets: UDP and TCP on given addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use host::{Host, OnEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::answer::{Answer, Responder, encode_datagram, encode_stream};
use crate::upstream::Upstream;

/// Bytes of the largest query that is looked at.
const MAX_QUERY: usize = 4096;
/// How many TCP connections may be open.
const MAX_CONNECTIONS: usize = 256;
/// How long a TCP client may be silent.
const IDLE: Duration = Duration::from_secs(10);
/// How many answers are given before other tasks get a turn.
const TURN: usize = 256;

/// A name server on its sockets.
pub struct Server {
    datagrams: Vec<Arc<UdpSocket>>,
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
}

struct Shared {
    responder: Responder,
    upstream: Upstream,
    host: Host,
    connections: Arc<Semaphore>,
}

impl Server {
    /// Binds every address for UDP and TCP. Port 0 chooses one, the same for both.
    ///
    /// # Errors
    /// The address that could not be bound, and why.
    pub async fn bind(
        addresses: &[SocketAddr],
        responder: Responder,
        upstream: Upstream,
        host: &Host,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let (mut datagrams, mut listeners) = (Vec::new(), Vec::new());
        for address in addresses {
            let fail = |error| (*address, error);
            let listener = TcpListener::bind(address).await.map_err(fail)?;
            let bound = listener.local_addr().map_err(fail)?;
            datagrams.push(Arc::new(UdpSocket::bind(bound).await.map_err(fail)?));
            listeners.push(listener);
        }
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let shared = Arc::new(Shared { responder, upstream, host: host.clone(), connections });
        Ok(Self { datagrams, listeners, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until the host shuts down, on tasks of its own.
    pub fn start(self) {
        for socket in self.datagrams {
            self.shared.host.tasks.spawn(
                "dns-udp",
                OnEnd::Fatal,
                until_shutdown(self.shared.clone(), datagrams(self.shared.clone(), socket)),
            );
        }
        for listener in self.listeners {
            self.shared.host.tasks.spawn(
                "dns-tcp",
                OnEnd::Fatal,
                until_shutdown(self.shared.clone(), connections(self.shared.clone(), listener)),
            );
        }
    }
}

async fn until_shutdown(shared: Arc<Shared>, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = shared.host.shutdown().cancelled_owned() => {}
        () = work => {}
    }
}

/// Answers what the zone knows on the spot; what upstream must be asked goes to a task of its own.
async fn datagrams(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut query = vec![0; MAX_QUERY];
    let mut answer = Vec::with_capacity(MAX_QUERY);
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        for _ in 0..TURN {
            let Ok((length, client)) = socket.try_recv_from(&mut query) else { break };
            match shared.responder.answer(&query[..length]) {
                Answer::Silence => {}
                Answer::Done(message) => {
                    if encode_datagram(&message, &mut answer) {
                        // A full socket loses the answer like the network may: the client asks again.
                        drop(socket.try_send_to(&answer, client));
                    }
                }
                Answer::Ask(message, question) => {
                    let (shared, socket) = (shared.clone(), socket.clone());
                    let tasks = shared.host.tasks.clone();
                    tasks.spawn("dns-upstream", OnEnd::Expected, async move {
                        let message = shared.upstream.complete(message, question).await;
                        let mut answer = Vec::new();
                        if encode_datagram(&message, &mut answer) {
                            drop(socket.send_to(&answer, client).await);
                        }
                    });
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn connections(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok(permit) = shared.connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let work = shared.clone();
                shared.host.tasks.spawn("dns-connection", OnEnd::Expected, async move {
                    let _permit = permit;
                    until_shutdown(work.clone(), async move { drop(converse(&work, stream).await) }).await;
                });
            }
            // Out of descriptors, most likely: wait for some to be closed.
            Err(error) => {
                tracing::warn!(%error, "accepting a DNS connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the queries of one connection, one after the other.
async fn converse(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    let mut query = Vec::new();
    let mut answer = Vec::new();
    loop {
        let length = usize::from(timeout(IDLE, stream.read_u16()).await??);
        if length > MAX_QUERY {
            return Ok(());
        }
        query.resize(length, 0);
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        let message = match shared.responder.answer(&query) {
            Answer::Silence => return Ok(()),
            Answer::Done(message) => message,
            Answer::Ask(message, question) => shared.upstream.complete(message, question).await,
        };
        if !encode_stream(&message, &mut answer) {
            return Ok(());
        }
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        timeout(IDLE, stream.write_all(&[&length.to_be_bytes()[..], &answer].concat())).await??;
    }
}
