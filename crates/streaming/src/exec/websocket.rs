//! Sessions over WebSocket: a channel for each standard stream, one for the status, one for terminal sizes.

use host::Tasks;
use http::{Request, header};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{ERROR, RESIZE, STDERR, STDIN, STDOUT, Session, Streams, resizes, spawn_driver};
use crate::status::{Closer, Form};
use crate::upgrade::{switched, websocket_response};
use crate::websocket::{self, ChannelWriter, Coding, Inputs, drive, output_queue};
use crate::{Accepted, Error, Reader, Status, Writer, protocol};

const VERSIONS: [&str; 5] =
    ["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io"];

pub(super) fn accept<B>(request: &mut Request<B>, streams: Streams, tasks: &Tasks) -> Result<Accepted<Session>, Error> {
    let version = negotiate(request, &VERSIONS)?;
    let response = websocket_response(request.headers(), version)?;
    let upgrade = hyper::upgrade::on(request);
    let tasks = tasks.clone();
    let session = async move {
        let socket = websocket::open(switched(upgrade).await?, Role::Server).await;
        let mut inputs = Inputs::default();
        let stdin = streams.stdin.then(|| inputs.open(STDIN));
        let resize = streams.tty.then(|| inputs.open(RESIZE));
        let (queue, outgoing) = output_queue();
        let coding = coding(version);
        let closed =
            spawn_driver("exec connection", &tasks, async move { drive(socket, coding, inputs, outgoing).await });
        let writer = |channel| Box::new(ChannelWriter::new(channel, &queue)) as Writer;
        greet(streams, writer).await;
        Ok(Session {
            stdin: stdin.map(|stream| Box::new(stream) as Reader),
            stdout: streams.stdout.then(|| writer(STDOUT)),
            stderr: streams.stderr.then(|| writer(STDERR)),
            resize: resizes(resize, &tasks),
            status: Status::new(writer(ERROR), form(version), Closer::WebSocket(queue)),
            closed,
        })
    };
    Ok(Accepted { response, session: Box::pin(session) })
}

/// The client's preferred subprotocol; `None` when it names none, which means the oldest.
pub(crate) fn negotiate<B>(request: &Request<B>, server: &[&'static str]) -> Result<Option<&'static str>, Error> {
    let offered: Vec<&str> = protocol::list(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL).collect();
    if offered.is_empty() {
        return Ok(None);
    }
    let refused =
        || Error::Protocol { client: offered.iter().map(ToString::to_string).collect(), server: server.into() };
    protocol::choose(offered.iter().copied(), server).map(Some).ok_or_else(refused)
}

pub(crate) fn coding(version: Option<&str>) -> Coding {
    if version.is_some_and(|version| version.contains("base64")) { Coding::Base64 } else { Coding::Binary }
}

fn form(version: Option<&str>) -> Form {
    match version {
        Some(version) if version.starts_with('v') => Form::Json,
        _ => Form::Text,
    }
}

/// An empty message on the lowest channel tells the client that the process's streams are connected.
async fn greet(streams: Streams, writer: impl Fn(u8) -> Writer) {
    let channel = match streams {
        Streams { stdout: true, .. } => STDOUT,
        Streams { stderr: true, .. } => STDERR,
        _ => ERROR,
    };
    // A client that is gone already is noticed by whoever uses the session.
    let _ = writer(channel).write(&[]).await;
}
