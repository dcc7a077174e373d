//! Accepting connections, over TLS and in memory, and speaking HTTP on them.

mod prompt;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use host::{Host, OnEnd, RoleError, Shutdown};
use hyper::body::Incoming as HttpBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::body::Body;
use crate::error::Error;
use crate::handle::{Executor, Incoming};
use crate::options::Listen;
use crate::pipeline::{Exchange, Pipeline, Response, Slot, Warnings};
use crate::request::RequestInfo;
use crate::respond;
use crate::user::{Peer, User};
use prompt::Prompt;

const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const STREAMS: u32 = 1000;
/// Bytes of answers that one stream may have waiting for its client.
const UNSENT: usize = 128 * 1024;
/// Bytes of a request's headers.
const HEADER_BYTES: u32 = 64 * 1024;
/// The wait after `accept` fails for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection needs.
pub(crate) struct Front {
    pub(crate) pipeline: Pipeline,
    pub(crate) host: Host,
    connections: Arc<Semaphore>,
    /// The user of requests before authentication.
    nobody: Arc<User>,
}

impl Front {
    pub(crate) fn new(pipeline: Pipeline, host: Host, connections: usize) -> Arc<Self> {
        let connections = Arc::new(Semaphore::new(connections));
        Arc::new(Self { pipeline, host, connections, nobody: Arc::new(User::anonymous()) })
    }
}

/// Binds all addresses.
pub(crate) async fn bind(listen: &[Listen]) -> Result<Vec<(TcpListener, TlsAcceptor)>, RoleError> {
    let mut bound = Vec::with_capacity(listen.len());
    for one in listen {
        let listener = TcpListener::bind(one.address).await.map_err(|error| {
            RoleError::new(format!("listening on {}", one.address), error)
                .next("free the address, or choose another one")
        })?;
        bound.push((listener, TlsAcceptor::from(one.tls.clone())));
    }
    Ok(bound)
}

/// Accepts on one address until shutdown.
pub(crate) async fn accept(front: Arc<Front>, listener: TcpListener, acceptor: TlsAcceptor) {
    let shutdown = front.host.shutdown();
    loop {
        let Ok(permit) = front.connections.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (front, acceptor) = (front.clone(), acceptor.clone());
                front.host.tasks.clone().spawn("connection", OnEnd::Expected, async move {
                    secure(front, stream, address, acceptor).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts connections in memory until shutdown.
pub(crate) async fn accept_memory(front: Arc<Front>, mut incoming: mpsc::UnboundedReceiver<Incoming>) {
    let shutdown = front.host.shutdown();
    loop {
        let Incoming { stream, user } = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            connection = incoming.recv() => match connection {
                Some(connection) => connection,
                None => return shutdown.cancelled().await,
            },
        };
        let front = front.clone();
        front.host.tasks.clone().spawn("connection", OnEnd::Expected, serve(front, stream, Peer::Memory(user)));
    }
}

async fn secure(front: Arc<Front>, stream: TcpStream, address: SocketAddr, acceptor: TlsAcceptor) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %address, "TCP_NODELAY cannot be set");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, %address, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%address, "TLS handshake took too long"),
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned());
    let certificates: Arc<[CertificateDer<'static>]> = certificates.collect();
    serve(front, stream, Peer::Tls { address, certificates }).await;
}

/// Speaks HTTP/1.1 or HTTP/2, whichever the client begins with, until the connection or the server ends.
async fn serve<S>(front: Arc<Front>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shutdown = front.host.shutdown();
    let builder = builder(&front);
    let service = service_fn(move |request| {
        let (front, peer) = (front.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(answer(&front, peer, request).await) }
    });
    let stream = Prompt::new(stream, HEADERS);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    if let Err(error) = drive(connection, shutdown).await {
        tracing::debug!(%error, "a connection broke");
    }
}

/// On shutdown the connection finishes what it is serving and takes nothing new.
async fn drive<C>(mut connection: std::pin::Pin<&mut C>, shutdown: Shutdown) -> C::Output
where
    C: Future + GracefulShutdown,
{
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {
            connection.as_mut().begin_shutdown();
            connection.await
        }
        outcome = &mut connection => outcome,
    }
}

/// What hyper's connections can do at the end.
trait GracefulShutdown {
    fn begin_shutdown(self: std::pin::Pin<&mut Self>);
}

impl<I, S, B> GracefulShutdown for auto::UpgradeableConnection<'_, I, S, Executor>
where
    S: hyper::service::HttpService<HttpBody, ResBody = B>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Executor: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn begin_shutdown(self: std::pin::Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

fn builder(front: &Front) -> auto::Builder<Executor> {
    let mut builder = auto::Builder::new(Executor(front.host.tasks.clone()));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(UNSENT)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

/// One request through the pipeline.
async fn answer(front: &Front, peer: Peer, request: http::Request<HttpBody>) -> Response {
    let (parts, body) = request.into_parts();
    let info = match RequestInfo::parse(&parts.method, &parts.uri) {
        Ok(info) => Arc::new(info),
        Err(error) => return respond::failure(&Error::bad_request(error.to_string()), None),
    };
    let exchange = Exchange {
        parts,
        body: Body::wrap(body),
        peer,
        info,
        user: front.nobody.clone(),
        warnings: Warnings::default(),
        deadline: None,
        audit_id: String::new(),
        slot: Slot::default(),
    };
    front.pipeline.serve(exchange).await
}
