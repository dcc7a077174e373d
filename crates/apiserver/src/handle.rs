//! The way in for roles of the same process: connections in memory that carry their identity.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use host::{OnEnd, Tasks};
use http::{HeaderValue, Request, Uri, header};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{mpsc, watch};
use tower::Service;

use crate::objects::Objects;
use crate::user::User;
use crate::version::GIT_VERSION;

/// Bytes on the way in each direction of an in-memory connection.
const BUFFER: usize = 256 * 1024;
/// Connections in memory that nobody uses are closed after a while.
const IDLE: Duration = Duration::from_secs(30);

/// A running (or starting) server, as others in this process see it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) incoming: mpsc::UnboundedSender<Incoming>,
    pub(crate) tasks: Tasks,
    pub(crate) addresses: watch::Receiver<Vec<SocketAddr>>,
    pub(crate) objects: Objects,
}

/// The server's end of a connection in memory.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stream: DuplexStream,
    pub(crate) user: Arc<User>,
}

impl Handle {
    /// A client that acts as `identity`. It may be made before the server runs: its requests wait.
    ///
    /// Everything but authentication happens as for any other client: authorization, admission, audit.
    #[must_use]
    pub fn client(&self, identity: User) -> kube::Client {
        let agent = user_agent(&identity);
        let service = self.http(identity);
        let service = tower::util::MapRequest::new(service, move |mut request: Request<kube::client::Body>| {
            request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| agent.clone());
            absolute(request)
        });
        kube::Client::new(service, "default")
    }

    /// The HTTP client below [`Handle::client`], for requests that `kube` has no words for. URIs must be absolute; their
    /// scheme is `http`, their authority does not matter.
    #[must_use]
    pub fn http<B>(&self, identity: User) -> HttpClient<Connector, B>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let user = Arc::new(identity.authenticated());
        let connector = Connector { incoming: self.incoming.clone(), user };
        HttpClient::builder(Executor(self.tasks.clone()))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector)
    }

    /// A raw connection in memory, on which HTTP/1 or HTTP/2 may be spoken.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn connect(&self, identity: User) -> std::io::Result<DuplexStream> {
        let connector = Connector { incoming: self.incoming.clone(), user: Arc::new(identity.authenticated()) };
        connector.open()
    }

    /// Reading the watch cache, and adding resource types.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Where the server listens; empty until it does.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.borrow().clone()
    }
}

/// `system:kube-scheduler` writes as field manager `kube-scheduler`, as it would as a program of its own.
fn user_agent(identity: &User) -> HeaderValue {
    let name = identity.name.strip_prefix("system:").unwrap_or(&identity.name);
    let program = if name.starts_with("node:") { "kubelet" } else { name.rsplit(':').next().unwrap_or(name) };
    HeaderValue::from_str(&format!("{program}/{GIT_VERSION}")).unwrap_or(HeaderValue::from_static("coracle"))
}

/// Paths become URIs of the server in memory.
fn absolute<B>(mut request: Request<B>) -> Request<B> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = format!("http://coracle{path}").parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// Opens connections in memory.
#[derive(Debug, Clone)]
pub struct Connector {
    incoming: mpsc::UnboundedSender<Incoming>,
    user: Arc<User>,
}

impl Connector {
    fn open(&self) -> std::io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let incoming = Incoming { stream: theirs, user: self.user.clone() };
        match self.incoming.send(incoming) {
            Ok(()) => Ok(ours),
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "the API server has ended")),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Memory>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, std::io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let opened = self.open().map(|stream| TokioIo::new(Memory(stream)));
        Box::pin(std::future::ready(opened))
    }
}

/// The client's end of a connection in memory.
#[derive(Debug)]
pub struct Memory(DuplexStream);

impl Connection for Memory {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Lets hyper spawn in our way.
#[derive(Debug, Clone)]
pub(crate) struct Executor(pub(crate) Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn("http", OnEnd::Expected, async move {
            future.await;
        });
    }
}
