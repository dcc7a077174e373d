//! The kubelet's HTTPS server: logs, streams into containers, and what is known of pods.

pub mod access;
mod logs;
pub mod route;
mod streams;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::{OnEnd, RoleError};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::context::Context;
use crate::options::Serving;
use crate::probe::http::provider;
use access::{Access, Verdict};
use route::Route;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request.
const HEADERS: Duration = Duration::from_secs(30);
/// How often a silent client is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Requests at a time on one connection.
const STREAMS: u32 = 1000;
/// Connections at a time: anyone on the network may open them, and each costs a descriptor.
const CONNECTIONS: usize = 512;
/// How long the server rests when it cannot accept, for lack of descriptors for example.
const REST: Duration = Duration::from_millis(100);

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connections: Arc<Semaphore>,
    shared: Arc<Shared>,
}

struct Shared {
    context: Arc<Context>,
    access: Access,
}

impl Server {
    /// Binds; from here on clients may connect.
    pub async fn bind(context: Arc<Context>, serving: Serving) -> Result<Self, RoleError> {
        let address = serving.address;
        let fail = |error: &dyn std::fmt::Display| {
            RoleError::new(format!("serving the kubelet on {address}"), error).next("choose another address or port")
        };
        let listener = TcpListener::bind(address).await.map_err(|error| fail(&error))?;
        let config = tls(serving).map_err(|error| fail(&error))?;
        let access = Access::new(context.client.clone(), context.options.node_name.clone());
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            shared: Arc::new(Shared { context, access }),
        })
    }

    /// Serves until shutdown.
    pub async fn run(self) {
        let host = self.shared.context.host.clone();
        let shutdown = host.shutdown();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            let Some((stream, permit)) = accepted else {
                tokio::time::sleep(REST).await;
                continue;
            };
            let (acceptor, shared) = (self.acceptor.clone(), self.shared.clone());
            host.tasks.spawn("kubelet connection", OnEnd::Expected, async move {
                connection(acceptor, stream, shared).await;
                drop(permit);
            });
        }
    }

    /// The next client, once there is room for one.
    async fn accept(&self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let permit = self.connections.clone().acquire_owned().await.ok()?;
        let (stream, _) = self.listener.accept().await.ok()?;
        Some((stream, permit))
    }
}

fn tls(serving: Serving) -> Result<rustls::ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let builder = rustls::ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = if serving.client_authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = rustls::RootCertStore::empty();
        for authority in serving.client_authorities {
            roots.add(authority)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
    };
    let mut config = builder.with_single_cert(serving.certificates, serving.key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<Shared>) {
    let shutdown = shared.context.host.shutdown();
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|all| all.first()).cloned();
    let certificate = certificate.map(CertificateDer::into_owned);
    let service = service_fn(move |request| {
        let (shared, certificate) = (shared.clone(), certificate.clone());
        async move { Ok::<_, Infallible>(answer(shared, certificate, request).await) }
    });
    let builder = builder();
    let serve = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        _ = serve => {}
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

async fn answer(
    shared: Arc<Shared>,
    certificate: Option<CertificateDer<'static>>,
    request: Request<Incoming>,
) -> Response<Body> {
    let Some(route) = route::parse(request.uri().path()) else {
        return text(StatusCode::NOT_FOUND, format!("{} is not served by this kubelet\n", request.uri().path()));
    };
    match shared.access.check(certificate.as_ref(), &request, &route).await {
        Verdict::Allowed => {}
        Verdict::Unknown => return text(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()),
        Verdict::Denied(why) => return text(StatusCode::FORBIDDEN, why),
        Verdict::Unanswered(why) => return text(StatusCode::INTERNAL_SERVER_ERROR, why),
    }
    let streams = matches!(route, Route::Exec(_) | Route::Attach(_) | Route::PortForward { .. });
    if request.method() != Method::GET && !(streams && request.method() == Method::POST) {
        return text(StatusCode::METHOD_NOT_ALLOWED, format!("method {} is not allowed here\n", request.method()));
    }
    match route {
        Route::Health => text(StatusCode::OK, "ok".to_owned()),
        Route::Pods => pods(&shared.context),
        Route::Logs(target) => logs::answer(&shared.context, &target, request.uri().query()).await,
        Route::Exec(target) => streams::exec(&shared.context, &target, request).await,
        Route::Attach(target) => streams::attach(&shared.context, &target, request).await,
        Route::PortForward { namespace, pod, uid } => {
            streams::port_forward(&shared.context, &namespace, &pod, uid.as_deref(), request).await
        }
    }
}

fn pods(context: &Context) -> Response<Body> {
    let items: Vec<Pod> = context.registry.all().iter().map(|view| (*view.pod).clone()).collect();
    let list = List::<Pod> { items, ..Default::default() };
    match serde_json::to_vec(&list) {
        Ok(json) => {
            let mut response = Response::new(full(json.into()));
            response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text.into()));
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
