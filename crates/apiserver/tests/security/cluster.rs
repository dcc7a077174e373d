//! A server with real keys and certificates for one test.

use std::net::SocketAddr;
use std::sync::Arc;

use apiserver::security::{SecurityOptions, security};
use apiserver::{Handle, Listen, Options, Server};
use bytes::Bytes;
use host::{Host, OnEnd, Ready, Role, RoleState};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use pki::{Certified, Pki, Profile};
use rustls::pki_types::ServerName;
use serde_json::Value;
use store::{Embedded, Store};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub(crate) struct Cluster {
    pub(crate) pki: Pki,
    pub(crate) host: Host,
    pub(crate) address: SocketAddr,
    _handle: Handle,
    admin: Certified,
    _directory: tempfile::TempDir,
}

/// What a client shows.
#[derive(Clone, Copy)]
pub(crate) enum As<'a> {
    Admin,
    Nobody,
    Certificate(&'a Certified),
    Token(&'a str),
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let host = Host::system();
        let store = Arc::new(Embedded::memory(&host).unwrap());
        Self::over(store, host).await
    }

    /// A server over a store that may hold a cluster already.
    pub(crate) async fn over(store: Arc<dyn Store>, host: Host) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pki = Pki::open(directory.path(), &host).unwrap();
        let certificate = pki.certificate("apiserver", &Profile::server("kube-apiserver", ["127.0.0.1"])).unwrap();
        let tls = pki::server_config(&certificate, Some(&pki.authority().roots())).unwrap();
        let security = security(SecurityOptions {
            signing_key: pki.signing_key().clone(),
            issuer: ISSUER.into(),
            server: "https://127.0.0.1:6443".into(),
            authority: pki.authority().roots(),
            kubelet_client: pki.certificate("kubelet-client", &Profile::apiserver_kubelet_client()).unwrap(),
        });
        let mut options = Options::new(store, security);
        options.listen = vec![Listen { address: "127.0.0.1:0".parse().unwrap(), tls }];
        options.bootstrap.push(apiserver::authorization::bootstrap());
        let (server, handle) = Server::new(options, &host);
        let (ready, mut state) = Ready::new();
        let role_host = host.clone();
        host.tasks.spawn("apiserver", OnEnd::Expected, async move {
            Box::new(server).run(role_host, ready).await.unwrap();
        });
        state.wait_for(|state| *state == RoleState::Ready).await.unwrap();
        let admin = pki.certificate("admin", &Profile::admin()).unwrap();
        let address = handle.addresses()[0];
        Self { pki, host, address, _handle: handle, admin, _directory: directory }
    }

    pub(crate) fn admin(&self) -> &Certified {
        &self.admin
    }

    pub(crate) async fn connect(&self, client: As<'_>) -> TlsStream<TcpStream> {
        let certificate = match client {
            As::Admin => Some(&self.admin),
            As::Certificate(certified) => Some(certified),
            As::Nobody | As::Token(_) => None,
        };
        let config = pki::client_config(self.pki.authority().roots(), certificate).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    pub(crate) async fn request(
        &self,
        client: As<'_>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Bytes) {
        let io = TokioIo::new(self.connect(client).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        self.host.tasks.spawn("client", OnEnd::Expected, async move { drop(connection.await) });
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1");
        if let As::Token(token) = client {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Full::new(bytes)).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    pub(crate) async fn send(&self, client: As<'_>, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (status, bytes) = self.request(client, method, path, &body).await;
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        (status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(text())))
    }

    pub(crate) async fn get(&self, client: As<'_>, path: &str) -> (u16, Value) {
        self.send(client, Method::GET, path, Value::Null).await
    }

    /// Makes an object as the administrator.
    pub(crate) async fn create(&self, path: &str, object: Value) -> Value {
        let (status, answer) = self.send(As::Admin, Method::POST, path, object).await;
        assert_eq!(status, 201, "{path}: {answer}");
        answer
    }

    pub(crate) async fn post(&self, client: As<'_>, path: &str, object: Value) -> (u16, Value) {
        self.send(client, Method::POST, path, object).await
    }

    /// A certificate of a user.
    pub(crate) fn user(&self, name: &str) -> Certified {
        self.pki.certificate(name, &Profile::component(name)).unwrap()
    }

    /// Repeats a question until its answer is as expected: bindings take effect a moment after they are written.
    pub(crate) async fn eventually(&self, client: As<'_>, path: &str, expected: u16) -> Value {
        for _ in 0..100 {
            let (status, answer) = self.get(client, path).await;
            if status == expected {
                return answer;
            }
            tokio::task::yield_now().await;
        }
        panic!("{path} never answers {expected}");
    }
}
