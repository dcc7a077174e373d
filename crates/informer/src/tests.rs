//! Caches against a scripted API server.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use host::Host;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::client::Body;
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::{Cache, Change, Changes, Informers, Scope};

type Reply = UnsyncBoxBody<Bytes, Infallible>;

/// What the server does with the next request of a kind.
enum Answer {
    Json(u16, Value),
    /// A watch whose lines the test sends.
    Stream(mpsc::UnboundedReceiver<Value>),
}

#[derive(Default)]
struct Script {
    lists: VecDeque<Answer>,
    watches: VecDeque<Answer>,
    seen: Vec<String>,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Script>>);

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let response = server.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        Client::new(service, "default")
    }

    fn informers(&self) -> Informers {
        Informers::new(self.client(), Host::simulated(Timestamp::UNIX_EPOCH, 1))
    }

    fn list(&self, revision: u64, items: &[Value]) {
        self.answer_list(Answer::Json(
            200,
            json!({"metadata": {"resourceVersion": revision.to_string()}, "items": items}),
        ));
    }

    fn answer_list(&self, answer: Answer) {
        self.0.lock().unwrap().lists.push_back(answer);
    }

    fn watch(&self) -> mpsc::UnboundedSender<Value> {
        let (sender, receiver) = mpsc::unbounded();
        self.0.lock().unwrap().watches.push_back(Answer::Stream(receiver));
        sender
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().seen.clone()
    }

    fn answer(&self, request: &Request<Body>) -> Response<Reply> {
        let mut script = self.0.lock().unwrap();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let queue = if query.contains("watch=true") { &mut script.watches } else { &mut script.lists };
        let answer = queue.pop_front();
        script.seen.push(request.uri().to_string());
        match answer {
            Some(Answer::Json(code, body)) => reply(code, &body),
            Some(Answer::Stream(lines)) => {
                let frames =
                    lines.map(|line| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(format!("{line}\n")))));
                Response::new(StreamBody::new(frames).boxed_unsync())
            }
            None => reply(503, &failure(503)),
        }
    }
}

fn reply(code: u16, body: &Value) -> Response<Reply> {
    Response::builder().status(code).body(Full::from(body.to_string()).boxed_unsync()).unwrap()
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
           "reason": "Scripted", "message": "scripted"})
}

fn config(name: &str, revision: u64) -> Value {
    json!({"metadata": {"namespace": "ns", "name": name, "uid": format!("uid-{name}"),
           "resourceVersion": revision.to_string()}, "data": {"revision": revision.to_string()}})
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn bookmark(revision: u64) -> Value {
    event(
        "BOOKMARK",
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": revision.to_string()}}),
    )
}

fn expired() -> Value {
    event("ERROR", failure(410))
}

fn names(cache: &Cache<ConfigMap>) -> Vec<String> {
    cache.list().iter().map(|object| object.metadata.name.clone().unwrap()).collect()
}

/// Changes in short: `+a` new, `~a` differs, `-a` gone.
fn told(changes: &mut Changes<ConfigMap>) -> Vec<String> {
    let short = |change: &Change<ConfigMap>| {
        let name = change.object().metadata.name.clone().unwrap();
        match change {
            Change::Applied { old: None, .. } => format!("+{name}"),
            Change::Applied { old: Some(_), .. } => format!("~{name}"),
            Change::Deleted(_) => format!("-{name}"),
        }
    };
    changes.take().iter().map(short).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cache_follows_list_and_watch() {
    let server = Server::default();
    server.list(10, &[config("a", 3), config("b", 7)]);
    let events = server.watch();
    let informers = server.informers();
    let cache = informers.of::<ConfigMap>();
    assert!(cache.is_empty() && !cache.is_synced());
    cache.synced().await;
    assert_eq!((names(&cache), cache.revision()), (vec!["a".into(), "b".into()], 10));
    let mut changes = cache.subscribe();
    assert_eq!(told(&mut changes), ["+a", "+b"]);
    events.unbounded_send(event("MODIFIED", config("a", 11))).unwrap();
    events.unbounded_send(event("DELETED", config("b", 12))).unwrap();
    events.unbounded_send(event("ADDED", config("c", 13))).unwrap();
    cache.reached(13).await;
    assert_eq!(told(&mut changes), ["~a", "-b", "+c"]);
    assert_eq!(names(&cache), ["a", "c"]);
    assert_eq!(cache.get(Some("ns"), "a").unwrap().metadata.resource_version.as_deref(), Some("11"));
    assert!(cache.get(Some("other"), "a").is_none() && cache.get(None, "a").is_none());
    assert_eq!((cache.list_in("ns").len(), cache.list_in("other").len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn bookmarks_advance_and_an_ended_watch_goes_on_from_them() {
    let server = Server::default();
    server.list(10, &[]);
    let events = server.watch();
    let _second = server.watch();
    let cache = server.informers().of::<ConfigMap>();
    events.unbounded_send(bookmark(42)).unwrap();
    cache.reached(42).await;
    drop(events);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[2].contains("resourceVersion=42"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn an_expired_revision_lists_again_and_tells_only_the_difference() {
    let server = Server::default();
    server.list(10, &[config("a", 3), config("b", 7), config("c", 8)]);
    let events = server.watch();
    server.list(50, &[config("a", 3), config("b", 44), config("d", 49)]);
    let _second = server.watch();
    let cache = server.informers().of::<ConfigMap>();
    cache.synced().await;
    let mut changes = cache.subscribe();
    told(&mut changes);
    events.unbounded_send(expired()).unwrap();
    cache.reached(50).await;
    assert_eq!(told(&mut changes), ["-c", "~b", "+d"]);
    assert_eq!(names(&cache), ["a", "b", "d"]);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_tried_again_with_growing_delays() {
    let server = Server::default();
    let informers = server.informers();
    let cache = informers.of::<ConfigMap>();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tries = server.seen().len();
    assert!((8..=13).contains(&tries), "{tries} tries in a minute");
    server.list(5, &[config("a", 5)]);
    cache.synced().await;
    assert_eq!(names(&cache), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_sees_the_net_change() {
    let server = Server::default();
    server.list(1, &[]);
    let events = server.watch();
    let cache = server.informers().of::<ConfigMap>();
    cache.synced().await;
    let (mut changes, mut keys) = (cache.subscribe(), cache.keys());
    for line in [
        event("ADDED", config("stays", 2)),
        event("MODIFIED", config("stays", 3)),
        event("ADDED", config("passes", 4)),
        event("DELETED", config("passes", 5)),
    ] {
        events.unbounded_send(line).unwrap();
    }
    cache.reached(5).await;
    assert_eq!(told(&mut changes), ["+stays"]);
    let keys: Vec<String> = keys.next().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["ns/stays", "ns/passes"]);
    let mut successor = config("stays", 7);
    successor["metadata"]["uid"] = json!("another");
    events.unbounded_send(event("DELETED", config("stays", 6))).unwrap();
    events.unbounded_send(event("ADDED", successor)).unwrap();
    cache.reached(7).await;
    assert_eq!(told(&mut changes), ["-stays", "+stays"]);
}

#[tokio::test(start_paused = true)]
async fn demands_share_one_watch_and_the_last_reader_ends_it() {
    let server = Server::default();
    server.list(1, &[config("a", 1)]);
    let events = server.watch();
    let informers = server.informers();
    let (one, two) = (informers.of::<ConfigMap>(), informers.of::<ConfigMap>());
    one.synced().await;
    two.synced().await;
    assert_eq!(server.seen().iter().filter(|uri| !uri.contains("watch=true")).count(), 1);
    drop((one, two));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(events.is_closed());
    assert_eq!(informers.host().tasks.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn scopes_and_projections_reach_the_server() {
    let server = Server::default();
    let informers = server.informers();
    let scoped = informers.scoped::<ConfigMap>(Scope::namespace("ns").labels("app=web").fields("metadata.name=x"));
    server.list(1, &[]);
    scoped.synced().await;
    let uri = server.seen().remove(0);
    for part in ["/namespaces/ns/configmaps", "labelSelector=app%3Dweb", "fieldSelector=metadata.name%3Dx"] {
        assert!(uri.contains(part), "{uri} lacks {part}");
    }
    server.list(2, &[config("a", 2)]);
    let metadata = informers.metadata(&ApiResource::erase::<ConfigMap>(&()));
    metadata.synced().await;
    assert_eq!(&*metadata.list()[0].metadata.uid, "uid-a");
}

#[tokio::test(start_paused = true)]
async fn indexes_follow_the_content() {
    let server = Server::default();
    server.list(1, &[config("a", 1)]);
    let events = server.watch();
    let cache = server.informers().of::<ConfigMap>();
    cache.synced().await;
    let by_data = cache.index("data", |object| object.data.iter().flat_map(|data| data.values().cloned()).collect());
    assert_eq!(by_data.get("1").len(), 1);
    events.unbounded_send(event("MODIFIED", config("a", 2))).unwrap();
    cache.reached(2).await;
    assert_eq!((by_data.get("1").len(), by_data.get("2").len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_object_is_left_out_alone() {
    let server = Server::default();
    server.list(1, &[config("a", 1), json!({"metadata": {"name": 7}})]);
    let events = server.watch();
    let cache = server.informers().of::<ConfigMap>();
    events.unbounded_send(event("ADDED", json!({"metadata": "nonsense"}))).unwrap();
    events.unbounded_send(event("ADDED", config("b", 2))).unwrap();
    cache.reached(2).await;
    assert_eq!(names(&cache), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_subscriptions() {
    let server = Server::default();
    server.list(1, &[]);
    let _events = server.watch();
    let informers = server.informers();
    let mut changes = informers.of::<ConfigMap>().subscribe();
    let host = informers.host().clone();
    assert!(host.tasks.drain(Duration::from_secs(1)).await);
    assert!(changes.next().await.is_none());
}
