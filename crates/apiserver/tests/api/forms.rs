//! Answers in protobuf, only metadata, and compressed: always the same objects as in JSON.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use schema::Type;
use schema::codec::protobuf::{self, Source};
use serde_json::{Value, json};

use crate::server::{Answer, Api};

const CM: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const PARTIAL: &str = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// An object of a built-in type as its protobuf form says it.
pub(crate) fn read(ty: &str, bytes: &[u8]) -> Value {
    schema::decode_protobuf(&Type::builtin(ty).expect("a type"), bytes).expect("protobuf").value
}

fn body(ty: &str, object: &Value) -> Vec<u8> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let ty = Type::builtin(ty).expect("a type");
    protobuf::encode(&ty, text("apiVersion"), text("kind"), Source::Value(object)).expect("an object")
}

impl Api {
    async fn accept(&self, path: &str, accept: &str) -> Answer {
        self.ask(Method::GET, path, &[("accept", accept)], "").await
    }

    async fn send_protobuf(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        self.ask(method, path, &[("accept", PROTOBUF), ("content-type", PROTOBUF)], body).await
    }
}

impl Answer {
    /// The object in the body, which must be protobuf.
    #[track_caller]
    fn protobuf(&self, status: u16, ty: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.header("content-type")), (status, PROTOBUF), "{self:?}");
        read(ty, &self.bytes)
    }
}

/// As protobuf says it: items of lists have no kind, and no items are no list.
fn bare(mut list: Value) -> Value {
    if list["items"].as_array().is_some_and(Vec::is_empty) {
        list["items"] = Value::Null;
    }
    for item in list["items"].as_array_mut().into_iter().flatten() {
        let item = item.as_object_mut().expect("an object");
        item.shift_remove("kind");
        item.shift_remove("apiVersion");
    }
    list
}

#[tokio::test(start_paused = true)]
async fn objects_come_and_go_in_protobuf() {
    let api = Api::start().await;
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let created = api.send_protobuf(Method::POST, CM, body("core.v1.ConfigMap", &object)).await;
    let mut created = created.protobuf(201, "core.v1.ConfigMap");
    let path = format!("{CM}/a");
    assert_eq!(api.get(&path).await.ok(), created);
    assert_eq!(api.accept(&path, PROTOBUF).await.protobuf(200, "core.v1.ConfigMap"), created);
    let both = format!("{PROTOBUF},application/json");
    assert_eq!(api.accept(&path, &both).await.protobuf(200, "core.v1.ConfigMap"), created);
    created["data"]["l"] = "w".into();
    let updated = api.send_protobuf(Method::PUT, &path, body("core.v1.ConfigMap", &created)).await;
    assert_eq!(updated.protobuf(200, "core.v1.ConfigMap")["data"], json!({"k": "v", "l": "w"}));
    let merge = [("content-type", "application/merge-patch+json"), ("accept", PROTOBUF)];
    let patched = api.ask(Method::PATCH, &path, &merge, r#"{"data":{"k":null}}"#).await;
    assert_eq!(patched.protobuf(200, "core.v1.ConfigMap")["data"], json!({"l": "w"}));
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "x"}});
    let refused = api.send_protobuf(Method::DELETE, &path, body("meta.v1.DeleteOptions", &options)).await;
    let refused = refused.protobuf(409, "meta.v1.Status");
    assert_eq!((&refused["kind"], &refused["reason"]), (&json!("Status"), &json!("Conflict")));
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
    api.send_protobuf(Method::DELETE, &path, body("meta.v1.DeleteOptions", &options))
        .await
        .protobuf(200, "meta.v1.Status");
    let deleted = api.send_protobuf(Method::DELETE, &path, Vec::new()).await.protobuf(200, "meta.v1.Status");
    assert_eq!((&deleted["status"], &deleted["details"]["name"]), (&json!("Success"), &json!("a")));
}

#[tokio::test(start_paused = true)]
async fn lists_of_any_size() {
    let api = Api::start().await;
    for (count, size) in [(0, 0), (3, 10), (400, 2_000)] {
        for n in 0..count {
            let object = json!({"metadata": {"name": format!("c{n}")}, "data": {"k": "x".repeat(size)}});
            let answer = api.post(CM, &object).await;
            assert!(answer.status == 201 || answer.status == 409);
        }
        let json = api.get(CM).await.ok();
        let listed = api.accept(CM, PROTOBUF).await;
        let length = listed.header("content-length").parse::<usize>().expect("a length");
        assert_eq!((length, listed.protobuf(200, "core.v1.ConfigMapList")), (listed.bytes.len(), bare(json.clone())));
        // Compressed where that is asked for and worth it.
        for (accept, large) in [("application/json", count > 100), (PROTOBUF, count > 100)] {
            let headers = [("accept", accept), ("accept-encoding", "gzip")];
            let answer = api.ask(Method::GET, CM, &headers, "").await;
            let expected = if large { ("gzip", "Accept-Encoding") } else { ("", "") };
            assert_eq!((answer.header("content-encoding"), answer.header("vary")), expected);
            let bytes = if large { unzip(&answer.bytes) } else { answer.bytes.to_vec() };
            match accept {
                PROTOBUF => assert_eq!(read("core.v1.ConfigMapList", &bytes), bare(json.clone())),
                _ => assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), json),
            }
        }
    }
    let page = api.accept(&format!("{CM}?limit=2"), PROTOBUF).await.protobuf(200, "core.v1.ConfigMapList");
    assert_eq!(
        (page["items"].as_array().map(Vec::len), &page["metadata"]["remainingItemCount"]),
        (Some(2), &json!(398))
    );
    assert!(page["metadata"]["continue"].as_str().is_some_and(|token| !token.is_empty()));
    // Another version than the stored one.
    let hpa = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
    let target = json!({"apiVersion": "apps/v1", "kind": "X", "name": "x"});
    let object = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}});
    api.post(hpa, &object).await.ok();
    let listed = api.accept(hpa, PROTOBUF).await.protobuf(200, "autoscaling.v1.HorizontalPodAutoscalerList");
    assert_eq!(listed, bare(api.get(hpa).await.ok()));
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut text).expect("gzip");
    text
}

/// The frames of a watch in protobuf.
struct Frames {
    body: Incoming,
    read: Vec<u8>,
}

impl Frames {
    async fn open(api: &Api, path: &str, accept: &str) -> Self {
        let request = http::Request::builder().uri(format!("http://test{path}")).header("accept", accept);
        let response = api.send(request.body(http_body_util::Full::<Bytes>::default()).expect("a request")).await;
        let media = response.headers().get("content-type").and_then(|media| media.to_str().ok());
        assert_eq!(media, Some("application/vnd.kubernetes.protobuf;stream=watch"));
        Self { body: response.into_body(), read: Vec::new() }
    }

    /// The type of the next event, and its object as it is.
    async fn next(&mut self, ty: &str) -> (String, Value) {
        loop {
            let length = self.read.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize + 4);
            if let Some(length) = length.filter(|length| *length <= self.read.len()) {
                let frame: Vec<u8> = self.read.drain(..length).skip(4).collect();
                return event(&frame, ty);
            }
            let frame = self.body.frame().await.expect("more").expect("a frame");
            self.read.extend_from_slice(frame.data_ref().expect("data"));
        }
    }
}

/// A bare `WatchEvent`: a text, then a message with bytes; both short or with lengths of up to three bytes.
fn event(frame: &[u8], ty: &str) -> (String, Value) {
    assert_eq!(frame[0], 0x0a);
    let (kind, rest) = frame[2..].split_at(frame[1].into());
    let object = rest.windows(4).position(|bytes| bytes == b"k8s\0").expect("an envelope");
    (String::from_utf8_lossy(kind).into_owned(), read(ty, &rest[object..]))
}

#[tokio::test(start_paused = true)]
async fn watches_are_frames() {
    let api = Api::start().await;
    let first = api.post(CM, &json!({"metadata": {"name": "a"}})).await.ok();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let accept = format!("{PROTOBUF};stream=watch,{PROTOBUF}");
    let mut watch = Frames::open(&api, &format!("{CM}?{query}"), &accept).await;
    assert_eq!(watch.next("core.v1.ConfigMap").await, ("ADDED".to_owned(), first));
    let (kind, bookmark) = watch.next("core.v1.ConfigMap").await;
    assert_eq!((kind.as_str(), &bookmark["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let second = api.merge(&format!("{CM}/a"), &json!({"data": {"x": "y"}})).await.ok();
    assert_eq!(watch.next("core.v1.ConfigMap").await, ("MODIFIED".to_owned(), second));
    api.delete(&format!("{CM}/a")).await.ok();
    assert_eq!(watch.next("core.v1.ConfigMap").await.0, "DELETED");
    // What is too old is said inside the stream.
    api.post(CM, &json!({"metadata": {"name": "b"}})).await.ok();
    for n in 0..4_200 {
        api.merge(&format!("{CM}/b"), &json!({"data": {"x": n.to_string()}})).await.ok();
    }
    let mut old = Frames::open(&api, &format!("{CM}?watch=1&resourceVersion=1"), PROTOBUF).await;
    let (kind, status) = old.next("meta.v1.Status").await;
    assert_eq!((kind.as_str(), &status["code"], &status["reason"]), ("ERROR", &json!(410), &json!("Expired")));
}

#[tokio::test(start_paused = true)]
async fn metadata_alone_in_every_form() {
    let api = Api::start().await;
    let object = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}});
    let created = api.post(CM, &object).await.ok();
    let path = format!("{CM}/a");
    let expected =
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": created["metadata"]});
    let json = format!("application/json;{PARTIAL}");
    let yaml = api.accept(&path, &format!("application/yaml;{PARTIAL}")).await;
    let protobuf = format!("{PROTOBUF};{PARTIAL}");
    assert_eq!(api.accept(&path, &json).await.ok(), expected);
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert_eq!(schema::codec::parse(&yaml.bytes, schema::Format::Yaml).expect("YAML"), expected);
    let partial = "meta.v1.PartialObjectMetadata";
    assert_eq!(api.accept(&path, &protobuf).await.protobuf(200, partial), expected);
    let list = api.accept(CM, &format!("application/json;{PARTIAL_LIST}")).await.ok();
    assert_eq!((&list["kind"], &list["items"]), (&json!("PartialObjectMetadataList"), &json!([expected])));
    let listed = api.accept(CM, &format!("application/yaml;{PARTIAL_LIST}")).await;
    assert_eq!(schema::codec::parse(&listed.bytes, schema::Format::Yaml).expect("YAML"), list);
    let listed = api.accept(CM, &format!("{PROTOBUF};{PARTIAL_LIST}")).await;
    assert_eq!(listed.protobuf(200, "meta.v1.PartialObjectMetadataList"), bare(list));
    // The form of lists is not that of objects.
    for (path, accept, message) in [
        (CM, PARTIAL, "you requested PartialObjectMetadata, but the requested object is a list"),
        (&path, PARTIAL_LIST, "you requested PartialObjectMetadataList, but the requested object is not a list"),
    ] {
        let answer = api.accept(path, &format!("application/json;{accept}")).await;
        assert_eq!(answer.status, 406);
        assert!(answer.json()["message"].as_str().is_some_and(|text| text.starts_with(message)), "{answer:?}");
    }
    let mut watch = Frames::open(&api, &format!("{CM}?watch=1"), &protobuf).await;
    assert_eq!(watch.next(partial).await, ("ADDED".to_owned(), expected));
    let merge = [("content-type", "application/merge-patch+json"), ("accept", protobuf.as_str())];
    let patched =
        api.ask(Method::PATCH, &path, &merge, r#"{"metadata":{"labels":{"x":"z"}}}"#).await.protobuf(200, partial);
    assert_eq!(patched["metadata"]["labels"], json!({"x": "z"}));
    assert_eq!(watch.next(partial).await, ("MODIFIED".to_owned(), patched));
    let held = json!({"metadata": {"finalizers": ["x.io/f"]}});
    api.merge(&path, &held).await.ok();
    let deleting = api.ask(Method::DELETE, &path, &[("accept", protobuf.as_str())], "").await.protobuf(200, partial);
    assert!(deleting["metadata"]["deletionTimestamp"].is_string(), "{deleting}");
}

#[tokio::test(start_paused = true)]
async fn tables_and_custom_objects_have_no_protobuf() {
    let api = Api::start().await;
    let table = schema::Table::builtin().snapshot();
    let mut row = (**table.row("", "configmaps").expect("a row")).clone();
    row.group = "rows.test".into();
    (row.kind, row.list_kind, row.plural) = ("Widget".into(), "WidgetList".into(), "widgets".into());
    row.storage_prefix = "/registry/rows.test/widgets".into();
    row.custom = true;
    let base = "/apis/rows.test/v1/namespaces/default/widgets";
    api.handle.objects().register(row).await.expect("a new type");
    let created = api.post(base, &json!({"metadata": {"name": "w"}, "data": {"a": "b"}})).await.ok();
    assert_eq!(api.accept(&format!("{base}/w"), PROTOBUF).await.status, 406);
    let both = format!("{PROTOBUF},application/json");
    assert_eq!(api.accept(&format!("{base}/w"), &both).await.ok(), created);
    let partial = api.accept(&format!("{base}/w"), &format!("{PROTOBUF};{PARTIAL}")).await;
    assert_eq!(partial.protobuf(200, "meta.v1.PartialObjectMetadata")["metadata"], created["metadata"]);
    let missing = api.accept(&format!("{base}/none"), &both).await;
    assert_eq!(missing.protobuf(404, "meta.v1.Status")["reason"], "NotFound");
    let sent = api.ask(Method::POST, base, &[("content-type", PROTOBUF)], body("core.v1.ConfigMap", &created)).await;
    assert_eq!(sent.status, 400);
    let table = format!("{PROTOBUF};as=Table;v=v1;g=meta.k8s.io");
    assert_eq!(api.accept(CM, &table).await.status, 406);
    assert_eq!(api.accept(CM, &format!("{table},application/json")).await.ok()["kind"], "ConfigMapList");
    let yaml = api.accept(CM, "application/yaml;as=Table;v=v1;g=meta.k8s.io").await;
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("kind: Table\n"), "{yaml:?}");
    let refused = api.accept(&format!("{CM}?watch=1"), "application/yaml").await;
    assert_eq!(refused.status, 406);
}

#[tokio::test(start_paused = true)]
async fn subresources_speak_protobuf() {
    let api = Api::start().await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    api.post(deployments, &json!({"metadata": {"name": "d"}, "spec": spec})).await.ok();
    let path = format!("{deployments}/d/scale");
    let mut scale = api.accept(&path, PROTOBUF).await.protobuf(200, "autoscaling.v1.Scale");
    assert_eq!((&scale, &scale["spec"]["replicas"]), (&api.get(&path).await.ok(), &json!(2)));
    scale["spec"]["replicas"] = 5.into();
    let scaled = api.send_protobuf(Method::PUT, &path, body("autoscaling.v1.Scale", &scale)).await;
    assert_eq!(scaled.protobuf(200, "autoscaling.v1.Scale")["spec"]["replicas"], 5);
    let pods = "/api/v1/namespaces/default/pods";
    api.post(pods, &json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))
        .await
        .ok();
    let binding = json!({"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bound = api.send_protobuf(Method::POST, &format!("{pods}/p/binding"), body("core.v1.Binding", &binding)).await;
    assert_eq!(bound.protobuf(201, "meta.v1.Status")["status"], "Success");
    let eviction = json!({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}});
    let evicted =
        api.send_protobuf(Method::POST, &format!("{pods}/p/eviction"), body("policy.v1.Eviction", &eviction)).await;
    assert_eq!(evicted.protobuf(201, "meta.v1.Status")["code"], 201);
    assert_eq!(api.get(&format!("{pods}/p")).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn discovery_speaks_protobuf() {
    let api = Api::start().await;
    for (path, ty) in [
        ("/api", "meta.v1.APIVersions"),
        ("/apis", "meta.v1.APIGroupList"),
        ("/apis/apps", "meta.v1.APIGroup"),
        ("/api/v1", "meta.v1.APIResourceList"),
        ("/apis/apps/v1", "meta.v1.APIResourceList"),
    ] {
        assert_eq!(api.accept(path, PROTOBUF).await.protobuf(200, ty), normal(ty, api.get(path).await.ok()), "{path}");
    }
    let parameters = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for path in ["/api", "/apis"] {
        let json = api.accept(path, &format!("application/json;{parameters}")).await;
        let answer = api.accept(path, &format!("{PROTOBUF};{parameters},application/json;{parameters}")).await;
        assert_eq!(answer.header("content-type"), format!("{PROTOBUF};{parameters}"));
        assert_eq!((answer.header("etag"), answer.header("vary")), (json.header("etag"), "Accept"));
        let ty = "apidiscovery.v2.APIGroupDiscoveryList";
        assert_eq!(read(ty, &answer.bytes), normal(ty, json.ok()));
    }
    // What is no object of the API is JSON for everybody.
    assert_eq!(api.accept("/version", PROTOBUF).await.ok()["major"], "1");
}

/// As the type's facts order it.
fn normal(ty: &str, document: Value) -> Value {
    schema::normalise(&Type::builtin(ty).expect("a type"), document).expect("a document").value
}
