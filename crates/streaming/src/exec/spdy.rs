//! Sessions over SPDY: a stream for each standard stream, one for the status, one for terminal sizes.

use std::time::Duration;

use host::Tasks;
use http::Request;

use super::{ERROR, NAMES, RESIZE, STDERR, STDIN, STDOUT, Session, Streams, resizes, spawn_driver};
use crate::spdy::{Incoming, Side, Stream, connect};
use crate::status::{Closer, Form};
use crate::upgrade::{spdy_response, switched};
use crate::{Accepted, Error, Reader, Status, Writer, protocol};

/// Newest first; a client that names none speaks the oldest.
const VERSIONS: [&str; 4] = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", OLDEST];
const OLDEST: &str = "channel.k8s.io";

/// How long the client may take to open its streams.
const CREATION_LIMIT: Duration = Duration::from_secs(30);

pub(super) fn accept<B>(request: &mut Request<B>, streams: Streams, tasks: &Tasks) -> Result<Accepted<Session>, Error> {
    let version = negotiate(request)?;
    let upgrade = hyper::upgrade::on(request);
    let tasks = tasks.clone();
    let session = async move {
        let io = switched(upgrade).await?;
        let (connection, incoming, driver) = connect(io, Side::Server);
        let closed = spawn_driver("exec connection", &tasks, async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "exec connection failed");
            }
        });
        let version = version.unwrap_or(OLDEST);
        let [stdin, stdout, stderr, error, resize] = collect(incoming, wanted(streams, version)).await?;
        let error = error.ok_or(Error::Ended("the error stream was opened"))?;
        let form = if version == VERSIONS[0] { Form::Json } else { Form::Text };
        Ok(Session {
            stdin: stdin.map(|stream| Box::new(stream) as Reader),
            stdout: stdout.map(|stream| Box::new(stream) as Writer),
            stderr: stderr.map(|stream| Box::new(stream) as Writer),
            resize: resizes(resize, &tasks),
            status: Status::new(Box::new(error), form, Closer::Spdy(connection)),
            closed,
        })
    };
    Ok(Accepted { response: spdy_response(version), session: Box::pin(session) })
}

fn negotiate<B>(request: &Request<B>) -> Result<Option<&'static str>, Error> {
    let offered: Vec<&str> = protocol::list(request.headers(), &protocol::STREAM_VERSION).collect();
    if offered.is_empty() {
        return Ok(None);
    }
    let refused =
        || Error::Protocol { client: offered.iter().map(ToString::to_string).collect(), server: VERSIONS.into() };
    protocol::choose(offered.iter().copied(), &VERSIONS).map(Some).ok_or_else(refused)
}

/// The streams that the client will open, by channel number.
fn wanted(streams: Streams, version: &str) -> [bool; 5] {
    let mut wanted = [false; 5];
    wanted[usize::from(STDIN)] = streams.stdin;
    wanted[usize::from(STDOUT)] = streams.stdout;
    wanted[usize::from(STDERR)] = streams.stderr;
    wanted[usize::from(ERROR)] = true;
    wanted[usize::from(RESIZE)] = streams.tty && [VERSIONS[0], VERSIONS[1]].contains(&version);
    wanted
}

/// Waits until every wanted stream is there; others are refused.
async fn collect(mut incoming: Incoming, wanted: [bool; 5]) -> Result<[Option<Stream>; 5], Error> {
    let mut streams = [const { None }; 5];
    let complete = async {
        while streams.iter().zip(wanted).any(|(stream, wanted): (&Option<Stream>, bool)| wanted && stream.is_none()) {
            let offer = incoming.next().await.ok_or(Error::Ended("all streams were opened"))?;
            let kind = offer.headers().get("streamType").unwrap_or_default();
            let channel = NAMES.iter().position(|name| *name == kind);
            if let Some(channel) = channel.filter(|channel| wanted[*channel] && streams[*channel].is_none()) {
                streams[channel] = Some(offer.accept());
            }
        }
        Ok::<(), Error>(())
    };
    tokio::time::timeout(CREATION_LIMIT, complete).await.map_err(|_| Error::Timeout("create streams"))??;
    Ok(streams)
}
