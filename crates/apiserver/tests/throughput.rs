//! How fast the server is, printed. Run with `cargo test --release -p apiserver --test throughput -- --ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "figures are printed")]

use std::sync::Arc;
use std::time::Duration;

use apiserver::endpoints::Endpoints;
use apiserver::{
    Attributes, Authenticator, Authorizer, Credentials, Decision, Handle, Options, Security, Server, User,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use host::{Host, OnEnd, Ready, Role, RoleState};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use store::Embedded;
use tokio::time::Instant;

struct Open;

#[async_trait]
impl Authenticator for Open {
    async fn authenticate(&self, _: Credentials<'_>) -> apiserver::Result<Option<User>> {
        Ok(None)
    }
}

#[async_trait]
impl Authorizer for Open {
    async fn authorize(&self, _: &Attributes<'_>) -> Decision {
        Decision::Allow
    }
}

fn security() -> Security {
    Security {
        authenticator: Arc::new(Open),
        anonymous: true,
        authorizer: Arc::new(Open),
        admission: Vec::new(),
        endpoints: Endpoints::default(),
    }
}

async fn start() -> (Host, Handle) {
    let host = Host::system();
    let store = Arc::new(Embedded::memory(&host).expect("a store"));
    let (server, handle) = Server::new(Options::new(store, |_| Ok(security())), &host);
    let (ready, mut state) = Ready::new();
    let role_host = host.clone();
    host.tasks.spawn("apiserver", OnEnd::Expected, async move {
        Box::new(server).run(role_host, ready).await.expect("the server runs");
    });
    state.wait_for(|state| *state == RoleState::Ready).await.expect("the server starts");
    (host, handle)
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn connect(host: &Host, handle: &Handle) -> Sender {
    let stream = handle.connect(User::new("bench").group("system:masters")).expect("a connection");
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    host.tasks.spawn("client", OnEnd::Expected, async move {
        let _ = connection.with_upgrades().await;
    });
    sender
}

async fn send(sender: &mut Sender, method: &str, path: &str, body: String) -> usize {
    let request = Request::builder().method(method).uri(path).header("host", "bench");
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    sender.ready().await.expect("a connection");
    let response = sender.send_request(request).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
    }
    length
}

fn pod(name: &str) -> String {
    let environment: Vec<_> =
        (0..40).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "x".repeat(40)})).collect();
    json!({
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"containers": [{"name": "c", "image": "registry.example/image:1", "env": environment}]},
    })
    .to_string()
}

const PODS: &str = "/api/v1/namespaces/default/pods";
const CLIENTS: usize = 16;

async fn create(host: &Host, handle: &Handle, count: usize) -> Duration {
    let started = Instant::now();
    let workers = (0..CLIENTS).map(|worker| async move {
        let mut sender = connect(host, handle).await;
        for n in (worker..count).step_by(CLIENTS) {
            send(&mut sender, "POST", PODS, pod(&format!("pod-{n:06}"))).await;
        }
    });
    join_all(workers).await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; wants the machine for itself"]
async fn figures() {
    let (host, handle) = start().await;
    let took = create(&host, &handle, 10_000).await;
    println!("10,000 pods created in {took:?}: {:.0}/s", 10_000.0 / took.as_secs_f64());
    gets(&host, &handle).await;
    lists(&host, &handle).await;
    watches(&host, &handle).await;
}

async fn gets(host: &Host, handle: &Handle) {
    const EACH: usize = 5_000;
    let started = Instant::now();
    join_all((0..CLIENTS).map(|worker| async move {
        let mut sender = connect(host, handle).await;
        for n in 0..EACH {
            send(&mut sender, "GET", &format!("{PODS}/pod-{:06}", (worker * 613 + n) % 10_000), String::new()).await;
        }
    }))
    .await;
    println!("cached GET of a pod: {:.0}/s", (CLIENTS * EACH) as f64 / started.elapsed().as_secs_f64());
}

async fn lists(host: &Host, handle: &Handle) {
    let mut sender = connect(host, handle).await;
    for what in ["", "?labelSelector=app%3Dnone"] {
        let started = Instant::now();
        let length = send(&mut sender, "GET", &format!("{PODS}{what}"), String::new()).await;
        println!("LIST of 10,000 pods {what}: {} bytes in {:?}", length, started.elapsed());
    }
}

async fn watches(host: &Host, handle: &Handle) {
    const WATCHERS: usize = 100;
    const CHANGES: usize = 500;
    let mut bodies = Vec::new();
    let list = format!("{PODS}?limit=1");
    let mut sender = connect(host, handle).await;
    send(&mut sender, "GET", &list, String::new()).await;
    for _ in 0..WATCHERS {
        let mut sender = connect(host, handle).await;
        let path = format!("{PODS}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
        let request = Request::builder().uri(path).header("host", "bench").body(Full::default()).expect("a request");
        let response = sender.send_request(request).await.expect("a watch");
        assert!(response.status().is_success());
        bodies.push((sender, response.into_body()));
    }
    let started = Instant::now();
    let readers = bodies.into_iter().map(|(sender, mut body)| async move {
        let (mut lines, _sender) = (0, sender);
        while lines < CHANGES {
            let frame = body.frame().await.expect("more").expect("a frame");
            lines += frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
        }
    });
    let writers = (0..CLIENTS).map(|worker| async move {
        let mut sender = connect(host, handle).await;
        for n in (worker..CHANGES).step_by(CLIENTS) {
            send(&mut sender, "POST", PODS, pod(&format!("late-{n:06}"))).await;
        }
    });
    futures::future::join(join_all(readers), join_all(writers)).await;
    let rate = (WATCHERS * CHANGES) as f64 / started.elapsed().as_secs_f64();
    println!("{CHANGES} changes to {WATCHERS} watchers: {rate:.0} deliveries/s");
}
