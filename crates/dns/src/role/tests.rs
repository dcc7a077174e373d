//! The zone follows caches that the test writes.

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::RecordType;
use host::OnEnd;
use informer::Writer;
use serde_json::json;

use super::*;
use crate::answer::Answer;

struct World {
    responder: Responder,
    services: Writer<Service>,
    slices: Writer<EndpointSlice>,
    namespaces: Writer<Namespace>,
    revision: u64,
    host: Host,
}

impl World {
    fn new() -> Self {
        let (services, service_cache) = Cache::detached();
        let (slices, slice_cache) = Cache::detached();
        let (namespaces, namespace_cache) = Cache::detached();
        let domain = parse_domain("cluster.local").unwrap();
        let responder = Responder::new(Zone::new(&domain, Vec::new(), &[]));
        let sources = Sources::from_caches(service_cache, slice_cache, namespace_cache, domain);
        let (subscriptions, follower) = (sources.subscribe(), responder.clone());
        let host = Host::system();
        host.tasks.spawn("dns", OnEnd::Expected, async move { subscriptions.follow(&sources, &follower).await });
        Self { responder, services, slices, namespaces, revision: 0, host }
    }

    fn meta(&mut self, name: &str) -> serde_json::Value {
        self.revision += 1;
        json!({"name": name, "namespace": "default", "resourceVersion": self.revision.to_string()})
    }

    fn service(&mut self, name: &str, cluster_ip: &str) -> Service {
        let metadata = self.meta(name);
        serde_json::from_value(json!({"metadata": metadata, "spec": {"clusterIP": cluster_ip}})).unwrap()
    }

    fn slice(&mut self, service: &str, address: &str) -> EndpointSlice {
        let mut metadata = self.meta("slice");
        metadata["labels"] = json!({SERVICE_NAME: service});
        let endpoints = json!([{"addresses": [address]}]);
        serde_json::from_value(json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints})).unwrap()
    }

    fn namespace(&mut self, name: &str) -> Namespace {
        self.revision += 1;
        serde_json::from_value(json!({"metadata": {"name": name, "resourceVersion": self.revision.to_string()}}))
            .unwrap()
    }

    fn addresses(&self, name: &str) -> Vec<String> {
        let mut query = Message::new(0, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(parse_domain(name).unwrap(), RecordType::A));
        match self.responder.answer(&query.to_vec().unwrap()) {
            Answer::Done(answer) => answer.answers.iter().map(|record| record.data.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// Lets the follower run until `name` has the addresses.
    async fn until(&self, name: &str, wanted: &[&str]) {
        for _ in 0..1000 {
            if self.addresses(name) == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{name} has {:?}, not {wanted:?}", self.addresses(name));
    }
}

#[tokio::test]
async fn the_zone_follows_the_caches() {
    let mut world = World::new();
    let (web, db) = ("web.default.svc.cluster.local", "db.default.svc.cluster.local");
    let service = world.service("web", "10.43.0.9");
    world.services.apply(service);
    world.until(web, &["10.43.0.9"]).await;
    let moved = world.service("web", "10.43.0.10");
    world.services.apply(moved.clone());
    world.until(web, &["10.43.0.10"]).await;
    world.services.remove(&moved);
    world.until(web, &[]).await;

    for headless in ["db", "other"] {
        let service = world.service(headless, "None");
        world.services.apply(service);
    }
    let slice = world.slice("db", "10.42.0.5");
    world.slices.apply(slice);
    world.until(db, &["10.42.0.5"]).await;
    let elsewhere = world.slice("other", "10.42.0.5");
    world.slices.apply(elsewhere);
    world.until("other.default.svc.cluster.local", &["10.42.0.5"]).await;
    world.until(db, &[]).await;

    let pod = "10-42-0-5.default.pod.cluster.local";
    assert!(world.addresses(pod).is_empty());
    let namespace = world.namespace("default");
    world.namespaces.apply(namespace.clone());
    world.until(pod, &["10.42.0.5"]).await;
    world.namespaces.remove(&namespace);
    world.until(pod, &[]).await;
    assert_eq!(world.host.tasks.alive(), 1);
}
