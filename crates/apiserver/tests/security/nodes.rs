//! Logs, streams and proxies, against a kubelet that is one in its wires only.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use host::OnEnd;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pki::Profile;
use serde_json::{Value, json};
use streaming::client::{Carrier, Forwarder, exec_request, exec_spdy, exec_websocket, forward_request};
use streaming::{Exit, Streams, Upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cluster::{As, Cluster};

/// Answers as a kubelet; echoes in sessions and forwards, and says which path was asked for.
async fn answer(mut request: Request<Incoming>, tasks: host::Tasks) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().to_string();
    let spawn = tasks.clone();
    if path.starts_with("/exec/") {
        let (stdin, stderr) = (path.contains("input=1"), path.contains("error=1"));
        let streams = Streams { stdin, stdout: true, stderr, tty: false };
        let accepted = streaming::accept(&mut request, streams, &tasks).unwrap();
        spawn.spawn("session", OnEnd::Expected, async move {
            let mut session = accepted.session.await.unwrap();
            let mut stdout = session.stdout.take().unwrap();
            stdout.write_all(path.as_bytes()).await.unwrap();
            tokio::io::copy(session.stdin.as_mut().unwrap(), &mut stdout).await.unwrap();
            drop((stdout, session.stderr));
            session.status.finish(Exit::Code(3)).await;
        });
        return Ok(accepted.response);
    }
    if path.starts_with("/portForward/") {
        let accepted = streaming::accept_forward(&mut request, &[], &tasks).unwrap();
        spawn.spawn("forwards", OnEnd::Expected, async move {
            let mut forwards = accepted.session.await.unwrap();
            while let Some(forward) = forwards.next().await {
                let (mut reader, mut writer) = tokio::io::split(forward.data);
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                writer.shutdown().await.unwrap();
            }
        });
        return Ok(accepted.response);
    }
    Ok(Response::new(Full::from(path)))
}

/// Listens as a kubelet that asks for the server's certificate.
async fn kubelet(cluster: &Cluster) -> u16 {
    let certificate = cluster.pki.certificate("kubelet", &Profile::kubelet_server("n", ["127.0.0.1"])).unwrap();
    let acceptor = TlsAcceptor::from(pki::server_config(&certificate, Some(&cluster.pki.authority().roots())).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = cluster.host.tasks.clone();
    cluster.host.tasks.spawn("kubelet", OnEnd::Expected, async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), tasks.clone());
            tasks.spawn("kubelet connection", OnEnd::Expected, async move {
                let Ok(io) = acceptor.accept(stream).await else { return };
                assert_eq!(io.get_ref().1.peer_certificates().map(<[_]>::len), Some(1), "the server shows who it is");
                let service = service_fn(move |request| answer(request, inner.clone()));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service);
                drop(connection.with_upgrades().await);
            });
        }
    });
    port
}

/// A cluster with a node, and two pods: `p` on the node, `q` nowhere.
pub(crate) async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    let port = kubelet(&cluster).await;
    cluster.create("/api/v1/nodes", json!({ "metadata": { "name": "n" } })).await;
    let status = json!({ "metadata": { "name": "n" }, "status": {
        "addresses": [{ "type": "Hostname", "address": "nowhere.invalid" }, { "type": "InternalIP", "address": "127.0.0.1" }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": port } } } });
    let (code, answer) = cluster.send(As::Admin, Method::PUT, "/api/v1/nodes/n/status", status).await;
    assert_eq!(code, 200, "{answer}");
    cluster.create("/api/v1/namespaces/default/serviceaccounts", json!({ "metadata": { "name": "default" } })).await;
    let pod = |name: &str, node: Option<&str>| {
        let mut pod =
            json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
        if let Some(node) = node {
            pod["spec"]["nodeName"] = node.into();
        } else {
            pod["spec"]["containers"] = json!([{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }]);
            pod["spec"]["initContainers"] = json!([{ "name": "z", "image": "i" }]);
        }
        pod
    };
    cluster.create("/api/v1/namespaces/default/pods", pod("p", Some("n"))).await;
    cluster.create("/api/v1/namespaces/default/pods", pod("q", None)).await;
    cluster
}

const POD: &str = "/api/v1/namespaces/default/pods/p";

#[tokio::test]
async fn logs_come_from_the_node() {
    let cluster = cluster().await;
    let check = async |path: &str, expected: (u16, &str)| {
        let (status, answer) = cluster.get(As::Admin, path).await;
        let text = answer["message"].as_str().or(answer.as_str()).unwrap_or_default();
        assert_eq!((status, text), expected, "{path}");
    };
    let sent = "/containerLogs/default/p/c?follow=true&sinceTime=2026-01-01T00%3A00%3A00Z&tailLines=5";
    check(&format!("{POD}/log?follow=true&tailLines=5&sinceTime=2026-01-01T00:00:00Z"), (200, sent)).await;
    let unknown = (400, "container x is not valid for pod p");
    check(&format!("{POD}/log?container=x"), unknown).await;
    let several =
        "a container name must be specified for pod q, choose one of: [a b] or one of the init containers: [z]";
    check("/api/v1/namespaces/default/pods/q/log", (400, several)).await;
    check("/api/v1/namespaces/default/pods/q/log?container=a", (200, "")).await;
    check("/api/v1/namespaces/default/pods/none/log", (404, r#"pods "none" not found"#)).await;
    assert_eq!(cluster.get(As::Admin, &format!("{POD}/log?tailLines=-1")).await.0, 422);
    assert_eq!(cluster.get(As::Admin, &format!("{POD}/log?tailLines=x")).await.0, 400);
}

#[tokio::test]
async fn sessions_reach_the_container() {
    let cluster = cluster().await;
    let path = format!("{POD}/exec?command=echo&command=a%20b&stdin=true&stdout=true");
    for (carrier, version) in [(Carrier::Spdy, "v4.channel.k8s.io"), (Carrier::WebSocket, "v5.channel.k8s.io")] {
        let tasks = &cluster.host.tasks;
        let request = exec_request(&path, carrier, version).unwrap();
        let io = cluster.connect(As::Admin).await;
        let Upgrade::Switched { io, .. } = streaming::upgrade(io, request, tasks).await.unwrap() else {
            panic!("refused")
        };
        let streams = Streams { stdin: true, stdout: true, ..Streams::default() };
        let mut session = match carrier {
            Carrier::Spdy => exec_spdy(io, streams, tasks).await.unwrap(),
            Carrier::WebSocket => exec_websocket(io, version, streams, tasks).await.unwrap(),
        };
        let mut stdin = session.stdin.take().unwrap();
        stdin.write_all(b" and more").await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut output = String::new();
        session.stdout.take().unwrap().read_to_string(&mut output).await.unwrap();
        assert_eq!(output, "/exec/default/p/c?input=1&output=1&command=echo&command=a%20b and more", "{version}");
        let status: Value = serde_json::from_slice(&session.status().await.unwrap()).unwrap();
        assert_eq!(status["details"]["causes"][0], json!({ "reason": "ExitCode", "message": "3" }), "{version}");
    }
}

#[tokio::test]
async fn ports_are_forwarded() {
    let cluster = cluster().await;
    for carrier in [Carrier::Spdy, Carrier::WebSocket] {
        let tasks = &cluster.host.tasks;
        let request = forward_request(&format!("{POD}/portforward"), carrier).unwrap();
        let io = cluster.connect(As::Admin).await;
        let Upgrade::Switched { io, .. } = streaming::upgrade(io, request, tasks).await.unwrap() else {
            panic!("refused")
        };
        let forwarder = Forwarder::new(io, carrier, tasks).await;
        let mut connection = forwarder.open(80).await.unwrap();
        connection.data.write_all(b"hello").await.unwrap();
        connection.data.shutdown().await.unwrap();
        let mut heard = String::new();
        connection.data.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "hello");
    }
}

#[tokio::test]
async fn streams_are_refused_with_words() {
    let cluster = cluster().await;
    let check = async |path: &str, expected: (u16, &str)| {
        let (status, answer) = cluster.get(As::Admin, path).await;
        assert_eq!((status, answer["message"].as_str().unwrap_or_default()), expected, "{path}");
    };
    check(&format!("{POD}/exec?command=x&stdout=1"), (400, "Upgrade request required")).await;
    check(&format!("{POD}/exec?command=x&container=y"), (400, "container y is not valid for pod p")).await;
    let unassigned = (400, "pod q does not have a host assigned");
    check("/api/v1/namespaces/default/pods/q/attach?container=a", unassigned).await;
    let port = (400, "invalid port \"0\": a port is a number from 1 to 65535");
    check(&format!("{POD}/portforward?port=0"), port).await;
    // Somebody who may get but not create.
    let role = json!({ "metadata": { "name": "watcher" }, "rules": [
        { "verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec"] }] });
    cluster.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await;
    let binding = json!({
        "metadata": { "name": "watcher" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "watcher" },
        "subjects": [{ "kind": "User", "name": "wat", "apiGroup": "rbac.authorization.k8s.io" }],
    });
    cluster.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await;
    let wat = cluster.user("wat");
    let answer = cluster.eventually(As::Certificate(&wat), &format!("{POD}/exec?command=x"), 403).await;
    let expected = r#"cannot create resource "pods/exec""#;
    for _ in 0..100 {
        let (_, answer) = cluster.get(As::Certificate(&wat), &format!("{POD}/exec?command=x")).await;
        if answer["message"].as_str().unwrap().contains(expected) {
            return;
        }
    }
    panic!("{answer}");
}

#[tokio::test]
async fn requests_are_proxied() {
    let cluster = cluster().await;
    let (status, body) = cluster.get(As::Admin, "/api/v1/nodes/n/proxy/pods?x=1").await;
    assert_eq!((status, body), (200, json!("/pods?x=1")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = cluster.host.tasks.clone();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    tasks.spawn("web server", OnEnd::Expected, async move {
        while let Ok((stream, _)) = listener.accept().await {
            let log = log.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                log.lock().unwrap().push(request.headers().contains_key("authorization"));
                let body = format!("{} {}", request.method(), request.uri());
                async move { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(body))) }
            });
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }
    });
    let mut pod = cluster.get(As::Admin, POD).await.1;
    pod["status"] = json!({ "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{ "ip": "127.0.0.1" }] });
    let (status, answer) = cluster.send(As::Admin, Method::PUT, &format!("{POD}/status"), pod).await;
    assert_eq!(status, 200, "{answer}");
    let proxied = format!("/api/v1/namespaces/default/pods/p:{port}/proxy/a/b?c=d");
    let (status, body) = cluster.send(As::Admin, Method::POST, &proxied, json!({})).await;
    assert_eq!((status, body), (200, json!("POST /a/b?c=d")));
    assert_eq!(*seen.lock().unwrap(), [false]);
    assert_eq!(cluster.get(As::Admin, "/api/v1/namespaces/default/services/none/proxy/").await.0, 404);
}
