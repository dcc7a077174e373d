//! Port-forward over SPDY: pairs of a data and an error stream, matched by the client's request id.

use std::collections::BTreeMap;
use std::time::Duration;

use host::Tasks;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Forward, Forwards, queue};
use crate::exec::{negotiate as negotiate_websocket, spawn_driver};
use crate::spdy::{Headers, Incoming, Offer, Side, Stream, connect};
use crate::upgrade::{spdy_response, switched, websocket_response};
use crate::websocket::Tunnel;
use crate::{Accepted, Error, protocol};

/// How long the second stream of a pair may take.
const PAIR_LIMIT: Duration = Duration::from_secs(30);

pub(super) fn accept<B>(request: &mut Request<B>, tasks: &Tasks) -> Result<Accepted<Forwards>, Error> {
    let offered: Vec<&str> = protocol::list(request.headers(), &protocol::STREAM_VERSION).collect();
    let version = protocol::choose(offered.iter().copied(), &[protocol::FORWARD]);
    if version.is_none() && !offered.is_empty() {
        let client = offered.iter().map(ToString::to_string).collect();
        return Err(Error::Protocol { client, server: vec![protocol::FORWARD] });
    }
    let upgrade = hyper::upgrade::on(request);
    let tasks = tasks.clone();
    let session = async move { Ok(serve(switched(upgrade).await?, &tasks)) };
    Ok(Accepted { response: spdy_response(version), session: Box::pin(session) })
}

pub(super) fn accept_tunnelled<B>(request: &mut Request<B>, tasks: &Tasks) -> Result<Accepted<Forwards>, Error> {
    let version = negotiate_websocket(request, &[protocol::FORWARD_TUNNEL])?;
    let response = websocket_response(request.headers(), version)?;
    let upgrade = hyper::upgrade::on(request);
    let tasks = tasks.clone();
    let session = async move { Ok(serve(Tunnel::server(switched(upgrade).await?).await, &tasks)) };
    Ok(Accepted { response, session: Box::pin(session) })
}

fn serve<I>(io: I, tasks: &Tasks) -> Forwards
where
    I: AsyncRead + AsyncWrite + Send + 'static,
{
    let (connection, incoming, driver) = connect(io, Side::Server);
    drop(connection);
    let (forwards, receiver) = queue();
    spawn_driver("port-forward connection", tasks, async move {
        if let Err(error) = driver.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "port-forward connection failed");
        }
    });
    spawn_driver("port-forward pairs", tasks, pair(incoming, forwards));
    receiver
}

/// What a stream is for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Data,
    Error,
}

/// The first stream of a pair.
struct Half {
    port: u16,
    part: Part,
    stream: Stream,
    deadline: Instant,
}

/// Matches streams until the client is gone or nobody takes the pairs.
async fn pair(mut incoming: Incoming, forwards: mpsc::Sender<Forward>) {
    let mut waiting = BTreeMap::<String, Half>::new();
    loop {
        let first = waiting.values().map(|half| half.deadline).min();
        let expiry = async {
            match first {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = forwards.closed() => return,
            offer = incoming.next() => {
                let Some(offer) = offer else { return };
                if let Some(forward) = admit(offer, &mut waiting)
                    && forwards.send(forward).await.is_err()
                {
                    return;
                }
            }
            () = expiry => expire(&mut waiting).await,
        }
    }
}

/// Takes a stream; a pair that it completes is returned. What makes no sense is refused by dropping it.
fn admit(offer: Offer, waiting: &mut BTreeMap<String, Half>) -> Option<Forward> {
    let (port, part) = purpose(offer.headers())?;
    let id = request_id(&offer, &part);
    let matches = |half: &Half| half.port == port && half.part != part;
    match waiting.get(&id) {
        Some(half) if !matches(half) => None,
        Some(_) => {
            let half = waiting.remove(&id)?;
            let stream = offer.accept();
            let (data, error) = if part == Part::Data { (stream, half.stream) } else { (half.stream, stream) };
            Some(Forward { port, data: Box::new(data), error: Box::new(error) })
        }
        None => {
            let deadline = Instant::now() + PAIR_LIMIT;
            waiting.insert(id, Half { port, part, stream: offer.accept(), deadline });
            None
        }
    }
}

fn purpose(headers: &Headers) -> Option<(u16, Part)> {
    let port = headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
    match headers.get("streamType")? {
        "data" => Some((port, Part::Data)),
        "error" => Some((port, Part::Error)),
        _ => None,
    }
}

/// Clients that send no id open the error stream right before the data stream.
fn request_id(offer: &Offer, part: &Part) -> String {
    match offer.headers().get("requestID") {
        Some(id) => id.to_owned(),
        None if *part == Part::Error => format!("stream {}", offer.id()),
        None => format!("stream {}", offer.id().saturating_sub(2)),
    }
}

async fn expire(waiting: &mut BTreeMap<String, Half>) {
    let now = Instant::now();
    for (id, mut half) in waiting.extract_if(.., |_, half| half.deadline <= now) {
        if half.part == Part::Error {
            let why = format!("timed out waiting for the data stream of request {id}");
            // The buffer of a fresh stream takes this at once; a client that is gone does not need it.
            let _ = half.stream.write_all(why.as_bytes()).await;
        }
    }
}
