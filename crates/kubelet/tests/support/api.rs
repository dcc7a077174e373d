//! An API in memory: objects, lists, watches, patches, graceful deletion of pods. No validation, no admission.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

#[derive(Default)]
struct State {
    revision: u64,
    /// By collection (`pods`, `configmaps`, …), then `namespace/name`.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Every change: revision, collection, type, object.
    log: Vec<(u64, String, &'static str, Value)>,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

struct Place {
    collection: String,
    namespace: String,
    name: String,
    subresource: String,
    query: BTreeMap<String, String>,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), changed: watch::channel(0).0 }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Puts an object in place of whatever was there.
    pub(crate) fn put(&self, collection: &str, object: Value) {
        let key = key(&object);
        let mut object = object;
        let known = self.get(collection, &key).is_some();
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.entry("uid").or_insert_with(|| json!(format!("uid-{}", key.replace('/', "-"))));
        meta.entry("creationTimestamp").or_insert_with(|| json!("2026-01-01T00:00:00Z"));
        self.record(collection, if known { "MODIFIED" } else { "ADDED" }, object);
    }

    pub(crate) fn get(&self, collection: &str, key: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(collection)?.get(key).cloned()
    }

    pub(crate) fn list(&self, collection: &str) -> Vec<Value> {
        self.state.lock().unwrap().objects.get(collection).into_iter().flat_map(|all| all.values().cloned()).collect()
    }

    /// Asks for a pod's end, as a deletion with `grace` seconds does.
    pub(crate) fn delete_pod(&self, key: &str, grace: i64) {
        let mut pod = self.get("pods", key).unwrap();
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        self.record("pods", "MODIFIED", pod);
    }

    /// Waits until `done` accepts the object (or its absence).
    pub(crate) async fn wait(
        &self,
        collection: &str,
        key: &str,
        done: impl Fn(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let mut changes = self.changed.subscribe();
        let look = async {
            loop {
                let object = self.get(collection, key);
                if done(object.as_ref()) {
                    return object;
                }
                changes.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), look).await {
            Ok(object) => object,
            Err(_) => {
                let events: Vec<_> = self
                    .list("events")
                    .iter()
                    .map(|e| format!("{} {}: {}", e["involvedObject"]["name"], e["reason"], e["message"]))
                    .collect();
                panic!("{key} is {:#}\n{events:#?}", self.get(collection, key).unwrap_or_default()["status"])
            }
        }
    }

    fn record(&self, collection: &str, kind: &'static str, mut object: Value) -> Value {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        let revision = state.revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let objects = state.objects.entry(collection.to_owned()).or_default();
        match kind {
            "DELETED" => drop(objects.remove(&key(&object))),
            _ => drop(objects.insert(key(&object), object.clone())),
        }
        state.log.push((revision, collection.to_owned(), kind, object.clone()));
        drop(state);
        self.changed.send_replace(revision);
        object
    }

    async fn answer(&self, request: Request<Body>) -> Reply {
        let (parts, body) = request.into_parts();
        let place = place(&parts.uri);
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let key = format!("{}/{}", place.namespace, place.name);
        match (parts.method, place.name.is_empty()) {
            (Method::GET, true) if place.query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") => {
                self.watch(place)
            }
            (Method::GET, true) => self.listing(&place),
            (Method::GET, false) => match self.get(&place.collection, &key) {
                Some(object) => reply(StatusCode::OK, &object),
                None => failure(StatusCode::NOT_FOUND, "NotFound"),
            },
            (Method::POST, _) => self.create(&place, body),
            (Method::PATCH, _) => match self.get(&place.collection, &key) {
                Some(mut object) => {
                    merge(&mut object, &body);
                    reply(StatusCode::OK, &self.record(&place.collection, "MODIFIED", object))
                }
                None => failure(StatusCode::NOT_FOUND, "NotFound"),
            },
            (Method::DELETE, _) => match self.get(&place.collection, &key) {
                Some(object) => reply(StatusCode::OK, &self.record(&place.collection, "DELETED", object)),
                None => failure(StatusCode::NOT_FOUND, "NotFound"),
            },
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn create(&self, place: &Place, mut object: Value) -> Reply {
        if place.subresource == "token" {
            object["status"] = json!({"token": "a-token", "expirationTimestamp": "2099-01-01T00:00:00Z"});
            return reply(StatusCode::CREATED, &object);
        }
        match place.collection.as_str() {
            // the token is the name
            "tokenreviews" => {
                let user = json!({"username": object["spec"]["token"], "groups": []});
                object["status"] = json!({"authenticated": true, "user": user});
                return reply(StatusCode::CREATED, &object);
            }
            "subjectaccessreviews" => {
                object["status"] = json!({"allowed": object["spec"]["user"] == "admin"});
                return reply(StatusCode::CREATED, &object);
            }
            _ => {}
        }
        if !place.namespace.is_empty() {
            object["metadata"]["namespace"] = json!(place.namespace);
        }
        if self.get(&place.collection, &key(&object)).is_some() {
            return failure(StatusCode::CONFLICT, "AlreadyExists");
        }
        self.put(&place.collection, object.clone());
        reply(StatusCode::CREATED, &self.get(&place.collection, &key(&object)).unwrap())
    }

    fn listing(&self, place: &Place) -> Reply {
        let items: Vec<Value> =
            self.list(&place.collection).into_iter().filter(|object| place.selects(object)).collect();
        let revision = self.state.lock().unwrap().revision;
        reply(StatusCode::OK, &json!({"metadata": {"resourceVersion": revision.to_string()}, "items": items}))
    }

    fn watch(&self, place: Place) -> Reply {
        let from: u64 = place.query.get("resourceVersion").and_then(|r| r.parse().ok()).unwrap_or(0);
        let (api, changes) = (self.clone(), self.changed.subscribe());
        let lines =
            futures::stream::unfold((api, changes, place, from), |(api, mut changes, place, mut at)| async move {
                loop {
                    let next = {
                        let state = api.state.lock().unwrap();
                        let mut next = state
                            .log
                            .iter()
                            .filter(|(revision, collection, ..)| *revision > at && *collection == place.collection);
                        next.find(|(_, _, _, object)| place.selects(object)).cloned()
                    };
                    if let Some((revision, _, kind, object)) = next {
                        at = revision;
                        let line = format!("{}\n", json!({"type": kind, "object": object}));
                        return Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line))), (api, changes, place, at)));
                    }
                    changes.changed().await.ok()?;
                }
            });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

impl Place {
    fn selects(&self, object: &Value) -> bool {
        let in_namespace = self.namespace.is_empty() || object["metadata"]["namespace"] == json!(self.namespace);
        let field = self.query.get("fieldSelector").and_then(|selector| selector.split_once('='));
        let fits = match field {
            Some(("metadata.name", name)) => object["metadata"]["name"] == json!(name),
            Some(("spec.nodeName", name)) => object["spec"]["nodeName"] == json!(name),
            _ => true,
        };
        in_namespace && fits
    }
}

fn key(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("namespace"), text("name"))
}

fn place(uri: &http::Uri) -> Place {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let skip = if parts[0] == "api" { 2 } else { 3 };
    let rest = &parts[skip..];
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", rest),
    };
    let at = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
    let query = kubelet::server::route::values(uri.query()).collect();
    Place { collection: at(0), namespace: namespace.to_owned(), name: at(1), subresource: at(2), query }
}

fn reply(status: StatusCode, body: &Value) -> Reply {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

fn failure(status: StatusCode, reason: &str) -> Reply {
    let code = status.as_u16();
    reply(status, &json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": reason}))
}

/// A strategic merge as far as statuses need it: conditions by type, `$patch: replace`, the rest as a merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return *target = patch.clone() };
    if !target.is_object() {
        *target = json!({});
    }
    for (field, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(field)),
            Value::Array(list) if field == "conditions" && target[field].is_array() => {
                let known = target[field].as_array_mut().unwrap();
                for new in list {
                    known.retain(|old| old["type"] != new["type"]);
                    known.push(new.clone());
                }
            }
            Value::Array(list) => {
                let plain: Vec<_> = list.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
                target[field] = json!(plain);
            }
            _ => merge(&mut target[field], value),
        }
    }
}
