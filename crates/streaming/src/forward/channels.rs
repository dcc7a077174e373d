//! Port-forward over WebSocket channels: two for each port, fixed when the connection is made.

use host::Tasks;
use http::Request;
use tokio::io::{AsyncWriteExt, join};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Forward, Forwards, queue};
use crate::exec::{coding, negotiate, spawn_driver};
use crate::upgrade::{switched, websocket_response};
use crate::websocket::{self, ChannelWriter, Inputs, drive, output_queue};
use crate::{Accepted, Error};

const VERSIONS: [&str; 2] = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"];

/// Two channels each, numbered in a byte of which the last value is taken.
const PORT_LIMIT: usize = 127;

pub(super) fn accept<B>(request: &mut Request<B>, ports: &[u16], tasks: &Tasks) -> Result<Accepted<Forwards>, Error> {
    if ports.is_empty() || ports.len() > PORT_LIMIT {
        return Err(Error::BadRequest(format!("query parameter \"port\" is required, up to {PORT_LIMIT} times")));
    }
    let version = negotiate(request, &VERSIONS)?;
    let response = websocket_response(request.headers(), version)?;
    let upgrade = hyper::upgrade::on(request);
    let (tasks, ports) = (tasks.clone(), ports.to_vec());
    let session = async move {
        let socket = websocket::open(switched(upgrade).await?, Role::Server).await;
        let (forwards, receiver) = queue();
        let mut inputs = Inputs::default();
        let (outputs, outgoing) = output_queue();
        let mut pending = Vec::with_capacity(ports.len());
        for (channel, port) in (0..).step_by(2).zip(ports) {
            let data = join(inputs.open(channel), ChannelWriter::new(channel, &outputs));
            pending.push((port, data, ChannelWriter::new(channel + 1, &outputs)));
        }
        drop(outputs);
        let coding = coding(version);
        spawn_driver("port-forward connection", &tasks, async move { drive(socket, coding, inputs, outgoing).await });
        spawn_driver("port-forward connections", &tasks, async move {
            for (port, mut data, mut error) in pending {
                let name = port.to_le_bytes();
                let greeted = async { data.write_all(&name).await.and(error.write_all(&name).await) }.await.is_ok();
                let forward = Forward { port, data: Box::new(data), error: Box::new(error) };
                if !greeted || forwards.send(forward).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    };
    Ok(Accepted { response, session: Box::pin(session) })
}
