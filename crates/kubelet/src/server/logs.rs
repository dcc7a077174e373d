//! Answers with the log of a container.

use std::path::PathBuf;

use bytes::Bytes;
use futures::StreamExt;
use host::OnEnd;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::route::{Target, flag, values};
use super::{Body, text};
use crate::context::Context;
use crate::logs::follow::Follow;
use crate::logs::{self, Query, line};
use crate::pod::observed::{Container, Observed, State};

/// Pieces of output that wait for the client.
const QUEUE: usize = 64;

/// Streams what the query asks for.
pub(super) async fn answer(context: &Context, target: &Target, query: Option<&str>) -> Response<Body> {
    let Some(view) = context.registry.find(&target.namespace, &target.pod, target.uid.as_deref()) else {
        return text(StatusCode::NOT_FOUND, format!("pod {:?} not found\n", target.pod));
    };
    let log = match parse(query, context.host.now()) {
        Ok(log) => log,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let present = view.borrow().clone();
    if !has_container(&present.pod, &target.container) {
        let words = format!("Pod {:?} does not have container {:?}\n", target.pod, target.container);
        return text(StatusCode::NOT_FOUND, words);
    }
    let container = match choose(&present.observed, target, flag(query, &["previous"])) {
        Ok(container) => container,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let path = PathBuf::from(&container.log_path);
    let follow = match log.follow.then(|| Follow::new(&path, view, container.id.clone())).transpose() {
        Ok(follow) => follow,
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, format!("following {}: {error}", path.display())),
    };
    let (sender, pieces) = mpsc::channel::<Bytes>(QUEUE);
    let read = async move {
        if let Err(error) = logs::stream(&path, &log, follow, sender).await {
            tracing::debug!(path = %path.display(), %error, "reading a log");
        }
    };
    context.host.tasks.spawn("container log", OnEnd::Expected, read);
    let pieces = futures::stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let body = StreamBody::new(pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(piece))));
    let mut response = text(StatusCode::OK, String::new());
    *response.body_mut() = body.boxed_unsync();
    response
}

fn parse(query: Option<&str>, now: Timestamp) -> Result<Query, String> {
    let mut log =
        Query { follow: flag(query, &["follow"]), timestamps: flag(query, &["timestamps"]), ..Default::default() };
    for (key, value) in values(query).filter(|(_, value)| !value.is_empty()) {
        let bad = |_| format!("invalid {key}: {value:?}\n");
        match key.as_str() {
            "tailLines" => log.tail = Some(value.parse().map_err(bad)?),
            "limitBytes" => log.limit = Some(value.parse().map_err(bad)?),
            "sinceSeconds" => {
                let ago = SignedDuration::from_secs(value.parse().map_err(bad)?);
                log.since = now.saturating_sub(ago).ok();
            }
            "sinceTime" => log.since = Some(value.parse().map_err(|_| format!("invalid sinceTime: {value:?}\n"))?),
            "stream" => {
                log.stream = match value.as_str() {
                    "Stdout" => Some(line::Stream::Stdout),
                    "Stderr" => Some(line::Stream::Stderr),
                    "All" => None,
                    _ => return Err(format!("invalid stream: {value:?}\n")),
                }
            }
            _ => {}
        }
    }
    Ok(log)
}

fn has_container(pod: &k8s_openapi::api::core::v1::Pod, name: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let own = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    own.map(|container| &container.name)
        .chain(spec.ephemeral_containers.iter().flatten().map(|container| &container.name))
        .any(|known| known == name)
}

/// The container whose log is meant.
fn choose(observed: &Observed, target: &Target, previous: bool) -> Result<Container, String> {
    let (name, pod) = (&target.container, &target.pod);
    let newest = observed.newest(name);
    if previous {
        let ended = newest.filter(|container| container.exit().is_some() && observed.previous(name).is_none());
        let before = observed.previous(name).or_else(|| ended.filter(|container| container.attempt > 0));
        return before
            .cloned()
            .ok_or_else(|| format!("previous terminated container {name:?} in pod {pod:?} not found\n"));
    }
    match newest {
        Some(container) if !matches!(container.state, State::Created) => Ok(container.clone()),
        _ => {
            let before = observed.previous(name).cloned();
            before.ok_or_else(|| format!("container {name:?} in pod {pod:?} is waiting to start: ContainerCreating\n"))
        }
    }
}
