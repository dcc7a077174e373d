//! The driver against a small API server that loses answers and tells its watchers late.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use host::Host;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use informer::{Informers, Key};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::Driver;
use crate::controller::{Controller, On};
use crate::events::Recorder;
use crate::names;
use crate::plan::{Change, Plan};
use crate::world::{Caches, World};

/// Makes three children of the map `parent`, one at a time.
static FAMILY: Controller =
    Controller { name: "family-controller", watches: &[&On::<ConfigMap>(parent_of)], step, concurrency: 2 };

fn parent_of(_: &ConfigMap, _: &World, keys: &mut Vec<Key>) {
    keys.push(Key::new(Some("ns"), "parent"));
}

fn step(key: &Key, world: &World, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(parent) = world.get::<ConfigMap>(key.namespace(), key.name()) else { return plan };
    if world.list_in::<ConfigMap>("ns").len() < 4 {
        let mut child = ConfigMap::default();
        child.metadata.namespace = Some("ns".into());
        child.metadata.name = Some(names::child("child", parent.metadata.uid.as_deref().unwrap(), world.nonce(), 0));
        plan.change(Change::create(&child));
    }
    plan
}

type Reply = UnsyncBoxBody<Bytes, Infallible>;

/// What goes wrong with a creation.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The object is made, but the answer is lost.
    Lost,
    Refused,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    revision: u64,
    watchers: Vec<mpsc::UnboundedSender<Value>>,
    faults: VecDeque<Fault>,
    creations: usize,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Reply>, std::io::Error> {
        let path = request.uri().path().to_owned();
        let name = path.rsplit('/').next().unwrap().to_owned();
        let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        match *request.method() {
            Method::GET if watches => Ok(self.watch()),
            Method::GET if name == "configmaps" => Ok(self.list()),
            Method::GET => {
                Ok(self.0.lock().unwrap().objects.get(&name).map_or_else(|| refusal(404), |object| json(200, object)))
            }
            Method::POST => {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                self.create(serde_json::from_slice(&body).unwrap())
            }
            _ => Ok(refusal(405)),
        }
    }

    fn list(&self) -> Response<Reply> {
        let state = self.0.lock().unwrap();
        let items: Vec<&Value> = state.objects.values().collect();
        json(200, &json!({"metadata": {"resourceVersion": state.revision.to_string()}, "items": items}))
    }

    /// Watchers hear of each event a second late.
    fn watch(&self) -> Response<Reply> {
        let (sender, receiver) = mpsc::unbounded::<Value>();
        self.0.lock().unwrap().watchers.push(sender);
        let frames = receiver.then(|event| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(format!("{event}\n"))))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn create(&self, mut object: Value) -> Result<Response<Reply>, std::io::Error> {
        let mut state = self.0.lock().unwrap();
        let fault = state.faults.pop_front();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if matches!(fault, Some(Fault::Refused)) {
            return Ok(refusal(403));
        }
        if state.objects.contains_key(&name) {
            return Ok(refusal(409));
        }
        state.revision += 1;
        state.creations += 1;
        object["metadata"]["resourceVersion"] = state.revision.to_string().into();
        object["metadata"]["uid"] = format!("uid-{name}").into();
        state.objects.insert(name, object.clone());
        let event = json!({"type": "ADDED", "object": object});
        state.watchers.retain(|watcher| watcher.unbounded_send(event.clone()).is_ok());
        match fault {
            Some(Fault::Lost) => Err(std::io::Error::other("the connection broke")),
            _ => Ok(json(201, &object)),
        }
    }
}

fn json(code: u16, body: &Value) -> Response<Reply> {
    Response::builder().status(code).body(Full::from(body.to_string()).boxed_unsync()).unwrap()
}

fn refusal(code: u16) -> Response<Reply> {
    json(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "refused", "reason": "Scripted"}),
    )
}

/// Runs the controller for a minute and returns how many children were made and are there.
async fn run(faults: &[Fault]) -> (usize, usize) {
    let server = Server::default();
    let parent = json!({"metadata": {"namespace": "ns", "name": "parent"}});
    server.create(parent).unwrap();
    server.0.lock().unwrap().faults.extend(faults);
    let host = Host::simulated(Timestamp::UNIX_EPOCH, 7);
    let informers = Informers::new(server.client(), host.clone());
    let mut caches = Caches::default();
    FAMILY.watches.iter().for_each(|watch| watch.open(&informers, &mut caches));
    let recorder = Recorder::new(server.client(), &host, FAMILY.name);
    let driver =
        Driver { controller: &FAMILY, caches: Arc::new(caches), client: server.client(), host: host.clone(), recorder };
    assert!(tokio::time::timeout(Duration::from_secs(60), driver.run()).await.is_err(), "a driver runs until shutdown");
    let state = server.0.lock().unwrap();
    (state.creations - 1, state.objects.len() - 1)
}

#[tokio::test(start_paused = true)]
async fn a_key_is_stepped_again_only_when_its_caches_caught_up() {
    assert_eq!(run(&[]).await, (3, 3));
}

#[tokio::test(start_paused = true)]
async fn lost_answers_are_settled_by_a_live_read() {
    assert_eq!(run(&[Fault::Lost, Fault::Lost, Fault::Lost]).await, (3, 3));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_tried_again() {
    assert_eq!(run(&[Fault::Refused, Fault::Lost, Fault::Refused, Fault::Refused]).await, (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_driver_ends_with_its_host() {
    let server = Server::default();
    let host = Host::simulated(Timestamp::UNIX_EPOCH, 7);
    let informers = Informers::new(server.client(), host.clone());
    let mut caches = Caches::default();
    FAMILY.watches.iter().for_each(|watch| watch.open(&informers, &mut caches));
    let recorder = Recorder::new(server.client(), &host, FAMILY.name);
    let driver =
        Driver { controller: &FAMILY, caches: Arc::new(caches), client: server.client(), host: host.clone(), recorder };
    host.shutdown().cancel();
    driver.run().await;
}
