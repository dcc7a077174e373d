//! The streaming server: exec, attach and port-forward behind URLs that are good for one use.

mod forward;
mod session;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use host::{OnEnd, Tasks};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::{Attempt as _, Error, Result};

/// Who asked for a URL uses it at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// URLs that nobody has used yet.
const MAX_WAITING: usize = 1000;

/// What a URL is for.
#[derive(Clone, Debug)]
pub(crate) enum Ticket {
    Exec(cri::ExecRequest),
    Attach(cri::AttachRequest),
    PortForward(cri::PortForwardRequest),
}

impl Ticket {
    fn path(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::PortForward(_) => "portforward",
        }
    }
}

/// Hands out URLs; cheap to clone.
#[derive(Clone)]
pub(crate) struct Streaming {
    address: SocketAddr,
    tickets: Arc<Mutex<BTreeMap<String, (Instant, Ticket)>>>,
}

impl Streaming {
    /// Listens on a loopback port. [`serve`] answers.
    pub(crate) async fn bind() -> Result<(Self, TcpListener)> {
        let what = || "listening for streams on 127.0.0.1".into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.attempt(what)?;
        let address = listener.local_addr().attempt(what)?;
        Ok((Self { address, tickets: Arc::default() }, listener))
    }

    /// A URL for what has been asked for; whoever has it may use it, once.
    pub(crate) fn offer(&self, engine: &Engine, ticket: Ticket) -> Result<String> {
        let token = engine.new_id();
        let path = ticket.path();
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, (offered, _)| offered.elapsed() < LIFETIME);
        if tickets.len() >= MAX_WAITING {
            return Err(Error::Precondition(format!("more than {MAX_WAITING} streams wait to be opened")));
        }
        tickets.insert(token.clone(), (Instant::now(), ticket));
        Ok(format!("http://{}/{path}/{token}", self.address))
    }

    fn take(&self, path: &str) -> Option<Ticket> {
        let (kind, token) = path.trim_start_matches('/').split_once('/')?;
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let (offered, ticket) = tickets.remove(token)?;
        (offered.elapsed() < LIFETIME && ticket.path() == kind).then_some(ticket)
    }
}

/// Serves streams until shutdown.
pub(crate) async fn serve(engine: Arc<Engine>, listener: TcpListener) {
    let shutdown = engine.host.shutdown();
    let tasks = engine.host.tasks.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve_connection(Arc::downgrade(&engine), tasks.clone(), stream);
                tasks.spawn("stream connection", OnEnd::Expected, connection);
            }
            Err(e) => tracing::warn!(error = %e, "accepting a connection for streams"),
        }
    }
}

async fn serve_connection(engine: Weak<Engine>, tasks: Tasks, stream: TcpStream) {
    let shutdown = tasks.shutdown();
    let service = hyper::service::service_fn(move |request| {
        let (engine, tasks) = (engine.clone(), tasks.clone());
        async move { Ok::<_, Infallible>(answer(&engine, &tasks, request)) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    if let Some(Err(e)) = shutdown.run_until_cancelled(connection).await {
        tracing::debug!(error = %e, "serving a stream connection");
    }
}

fn answer(engine: &Weak<Engine>, tasks: &Tasks, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(engine) = engine.upgrade() else { return refuse(StatusCode::SERVICE_UNAVAILABLE, "shutting down") };
    let Some(ticket) = engine.streaming.take(request.uri().path()) else {
        return refuse(StatusCode::NOT_FOUND, "this URL is unknown, used, or too old");
    };
    let accepted = match ticket {
        Ticket::Exec(exec) => session::exec(engine, exec, &mut request, tasks),
        Ticket::Attach(attach) => session::attach(engine, attach, &mut request, tasks),
        Ticket::PortForward(forward) => forward::forward(engine, forward, &mut request, tasks),
    };
    match accepted {
        Ok((response, work)) => {
            tasks.spawn("stream session", OnEnd::Expected, work);
            response
        }
        Err(e) => e.response(),
    }
}

/// The answer to an upgrade, and what is to be done once the connection has switched.
type Accepted = (Response<Full<Bytes>>, BoxFuture<'static, ()>);

fn refuse(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(message));
    *response.status_mut() = status;
    response
}
