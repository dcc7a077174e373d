//! Streams into containers: the runtime says where, the bytes of the upgraded connection pass through unread.

use bytes::Bytes;
use host::OnEnd;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use streaming::Upgrade;
use tokio::net::TcpStream;
use tonic::Status;

use super::route::{Target, flag, values};
use super::{Body, full, text};
use crate::context::Context;
use crate::runtime::quick;

/// Most of a refusal's body that is passed on.
const MAX_REFUSAL: usize = 64 << 10;

pub(super) async fn exec(context: &Context, target: &Target, request: Request<Incoming>) -> Response<Body> {
    let id = match running(context, target) {
        Ok(id) => id,
        Err(why) => return text(StatusCode::NOT_FOUND, why),
    };
    let query = request.uri().query();
    let command: Vec<String> = values(query).filter(|(key, _)| key == "command").map(|(_, value)| value).collect();
    if command.is_empty() {
        return text(StatusCode::BAD_REQUEST, "you must specify a command\n".to_owned());
    }
    let asked = cri::ExecRequest {
        container_id: id,
        cmd: command,
        tty: flag(query, &["tty"]),
        stdin: flag(query, &["input", "stdin"]),
        stdout: flag(query, &["output", "stdout"]),
        stderr: flag(query, &["error", "stderr"]) && !flag(query, &["tty"]),
    };
    let url = context.runtime.client().exec(quick(asked)).await.map(|answer| answer.into_inner().url);
    forward(context, url, request).await
}

pub(super) async fn attach(context: &Context, target: &Target, request: Request<Incoming>) -> Response<Body> {
    let id = match running(context, target) {
        Ok(id) => id,
        Err(why) => return text(StatusCode::NOT_FOUND, why),
    };
    let query = request.uri().query();
    let tty = flag(query, &["tty"]);
    let asked = cri::AttachRequest {
        container_id: id,
        tty,
        stdin: flag(query, &["input", "stdin"]),
        stdout: flag(query, &["output", "stdout"]),
        stderr: flag(query, &["error", "stderr"]) && !tty,
    };
    let url = context.runtime.client().attach(quick(asked)).await.map(|answer| answer.into_inner().url);
    forward(context, url, request).await
}

pub(super) async fn port_forward(
    context: &Context,
    namespace: &str,
    pod: &str,
    uid: Option<&str>,
    request: Request<Incoming>,
) -> Response<Body> {
    let view = context.registry.find(namespace, pod, uid).map(|view| view.borrow().clone());
    let sandbox = view.and_then(|view| view.observed.sandbox().filter(|sandbox| sandbox.ready).cloned());
    let Some(sandbox) = sandbox else {
        return text(StatusCode::NOT_FOUND, format!("pod {pod:?} not found or not running\n"));
    };
    let ports = values(request.uri().query()).filter(|(key, _)| key == "port" || key == "ports");
    let port = ports.flat_map(|(_, value)| value.split(',').filter_map(|port| port.parse().ok()).collect::<Vec<i32>>());
    let asked = cri::PortForwardRequest { pod_sandbox_id: sandbox.id, port: port.collect() };
    let url = context.runtime.client().port_forward(quick(asked)).await.map(|answer| answer.into_inner().url);
    forward(context, url, request).await
}

/// The id of the target's running container.
fn running(context: &Context, target: &Target) -> Result<String, String> {
    let view = context.registry.find(&target.namespace, &target.pod, target.uid.as_deref());
    let Some(view) = view.map(|view| view.borrow().clone()) else {
        return Err(format!("pod {:?} not found\n", target.pod));
    };
    let newest = view.observed.newest(&target.container).filter(|container| container.running());
    newest
        .map(|container| container.id.clone())
        .ok_or_else(|| format!("container not found ({:?})\n", target.container))
}

/// Passes the request on to `url` and splices the two connections once both have switched.
async fn forward(context: &Context, url: Result<String, Status>, mut request: Request<Incoming>) -> Response<Body> {
    let url = match url.map(|url| url.parse::<Uri>()) {
        Ok(Ok(url)) => url,
        Ok(Err(error)) => return text(StatusCode::BAD_GATEWAY, format!("the runtime's streaming URL: {error}\n")),
        Err(status) => return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", status.message())),
    };
    let Some(authority) = url.authority().cloned() else {
        return text(StatusCode::BAD_GATEWAY, format!("the runtime's streaming URL {url} names no host\n"));
    };
    let client = hyper::upgrade::on(&mut request);
    let upstream = match TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await {
        Ok(upstream) => upstream,
        Err(error) => {
            return text(StatusCode::BAD_GATEWAY, format!("connecting to the runtime at {authority}: {error}\n"));
        }
    };
    let outgoing = match outgoing(&request, &url, authority.as_str()) {
        Ok(outgoing) => outgoing,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    match streaming::upgrade(upstream, outgoing, &context.host.tasks).await {
        Ok(Upgrade::Switched { response, io }) => {
            context.host.tasks.spawn("container stream", OnEnd::Expected, async move {
                if let Ok(client) = client.await {
                    let _ = streaming::splice(TokioIo::new(client), io).await;
                }
            });
            response.map(|()| full(Bytes::new()))
        }
        Ok(Upgrade::Refused(response)) => refusal(response).await,
        Err(error) => text(StatusCode::BAD_GATEWAY, format!("upgrading the runtime's stream: {error}\n")),
    }
}

/// The client's request, with the runtime's address in place of ours.
fn outgoing(request: &Request<Incoming>, url: &Uri, authority: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut outgoing = Request::builder().method(request.method()).uri(path);
    for (name, value) in request.headers() {
        let private = [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        if !private.contains(name) {
            outgoing = outgoing.header(name, value);
        }
    }
    outgoing.header(header::HOST, authority).body(Empty::new())
}

async fn refusal(response: Response<Incoming>) -> Response<Body> {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    text(status, String::from_utf8_lossy(&body).into_owned())
}
