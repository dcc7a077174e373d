//! A server for one test.

use std::sync::Arc;

use apiserver::endpoints::Endpoints;
use apiserver::{
    Attributes, Authenticator, Authorizer, Credentials, Decision, Handle, Options, Security, Server, User,
};
use async_trait::async_trait;
use bytes::Bytes;
use host::{Host, OnEnd, Ready, Role, RoleState};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use store::Embedded;

/// A running server and the way in.
pub(crate) struct Api {
    pub(crate) handle: Handle,
    http: hyper_util::client::legacy::Client<apiserver::Connector, Full<Bytes>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: Credentials<'_>) -> apiserver::Result<Option<User>> {
        Ok(None)
    }
}

/// Lets everybody do everything, except for one whose name is `nobody`.
struct Everything;

#[async_trait]
impl Authorizer for Everything {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.name == "nobody" { Decision::NoOpinion(String::new()) } else { Decision::Allow }
    }
}

pub(crate) fn open() -> Security {
    Security {
        authenticator: Arc::new(Nobody),
        anonymous: true,
        authorizer: Arc::new(Everything),
        admission: Vec::new(),
        endpoints: Endpoints::default(),
    }
}

impl Api {
    /// A server that is ready.
    pub(crate) async fn start() -> Self {
        let host = Host::simulated("2026-01-01T00:00:00Z".parse().expect("a time"), 7);
        let store = Arc::new(Embedded::memory(&host).expect("a store"));
        let mut options = Options::new(store, |_| Ok(open()));
        options.advertise = Some("10.42.0.1:6443".parse().expect("an address"));
        Self::run(options, host).await
    }

    pub(crate) async fn run(options: Options, host: Host) -> Self {
        let (server, handle) = Server::new(options, &host);
        let (ready, mut state) = Ready::new();
        let role_host = host.clone();
        host.tasks.spawn("apiserver", OnEnd::Expected, async move {
            let ended = Box::new(server).run(role_host, ready).await;
            if let Err(error) = ended {
                panic!("{error}");
            }
        });
        state.wait_for(|state| *state == RoleState::Ready).await.expect("the server starts");
        let http = handle.http(User::new("tester").group("system:masters"));
        Self { handle, http }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.handle.client(User::new("tester").group("system:masters"))
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.http.request(request).await.expect("an answer")
    }

    /// One request with a body in JSON, or with whatever headers are given.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://test{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request.body(Full::new(body.into())).expect("a request")).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, &[], body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, &[], body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &[], "").await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        let media = [("content-type", "application/merge-patch+json")];
        self.ask(Method::PATCH, path, &media, body.to_string()).await
    }

    /// An open watch.
    pub(crate) async fn watch(&self, path: &str) -> Lines {
        let request = Request::builder().uri(format!("http://test{path}")).body(Full::default()).expect("a request");
        let response = self.send(request).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Lines { body: response.into_body(), read: Vec::new() }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    /// The body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {:?}", self.status, self.bytes);
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The events of a watch.
pub(crate) struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            let frame = self.body.frame().await?.expect("a frame");
            self.read.extend_from_slice(frame.data_ref().expect("data"));
        }
    }

    /// What the next event says: its type, and the name and revision of its object.
    pub(crate) async fn brief(&mut self) -> (String, String, u64) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &event["object"]["metadata"];
        let revision = text(&metadata["resourceVersion"]).parse().unwrap_or(0);
        (text(&event["type"]), text(&metadata["name"]), revision)
    }
}
