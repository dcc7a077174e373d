//! What goes takes everything with it that belongs to it.

use std::time::Duration;

use informer::Scope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use super::deployment;
use super::plane::Plane;

/// More virtual time than anything here takes.
const LONG: Duration = Duration::from_secs(120);

async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, done).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

async fn create<K>(plane: &Plane, namespace: &str, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let api = Api::<K>::namespaced(plane.client(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(object).expect("an object"))
        .await
        .expect("the server agrees");
}

/// A namespace with a deployment and a service that has found its pods.
async fn furnished(plane: &Plane) {
    let namespaces = Api::<Namespace>::all(plane.client());
    let team = serde_json::from_value(json!({"metadata": {"name": "team"}})).expect("a namespace");
    namespaces.create(&PostParams::default(), &team).await.expect("the server agrees");
    let accounts = plane.informers.scoped::<ServiceAccount>(Scope::namespace("team"));
    within("the default service account", accounts.wait_until(|cache| !cache.is_empty())).await;
    let mut web = serde_json::to_value(deployment()).expect("string keys");
    web["metadata"]["namespace"] = "team".into();
    create::<Deployment>(plane, "team", web).await;
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    create::<Service>(plane, "team", service).await;
    let slices = plane.informers.scoped::<EndpointSlice>(Scope::namespace("team"));
    let ready = |slice: &EndpointSlice| {
        let endpoints = slice.endpoints.iter().flatten();
        endpoints
            .filter(|endpoint| endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true))
            .count()
    };
    let served = slices.wait_until(|cache| cache.list().iter().map(|slice| ready(slice)).sum::<usize>() == 3);
    within("three ready endpoints", served).await;
}

#[tokio::test(start_paused = true)]
async fn dependents_follow_their_owner() {
    for (policy, sets_left) in [
        (PropagationPolicy::Background, false),
        (PropagationPolicy::Foreground, false),
        (PropagationPolicy::Orphan, true),
    ] {
        let plane = Plane::start_with(1, &["*"]).await;
        furnished(&plane).await;
        let deployments = Api::<Deployment>::namespaced(plane.client(), "team");
        let options = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        deployments.delete("web", &options).await.expect("the server agrees");
        let (sets, pods) = (plane.informers.of::<ReplicaSet>(), plane.informers.of::<Pod>());
        let cache = plane.informers.of::<Deployment>();
        within("the end of the deployment", cache.wait_until(|cache| cache.is_synced() && cache.is_empty())).await;
        if sets_left {
            let owned =
                |set: &ReplicaSet| set.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
            let free = sets.wait_until(|cache| cache.len() == 1 && cache.list().iter().all(|set| !owned(set)));
            within("an orphaned set", free).await;
            assert_eq!(pods.list_in("team").len(), 3);
        } else {
            within("the end of the sets", sets.wait_until(|cache| cache.is_synced() && cache.is_empty())).await;
            within("the end of the pods", pods.wait_until(|cache| cache.is_synced() && cache.is_empty())).await;
        }
        plane.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_its_content_along() {
    let plane = Plane::start_with(1, &["*"]).await;
    furnished(&plane).await;
    Api::<Namespace>::all(plane.client()).delete("team", &DeleteParams::default()).await.expect("the server agrees");
    let namespaces = plane.informers.of::<Namespace>();
    let gone = namespaces.wait_until(|cache| cache.is_synced() && cache.get(None, "team").is_none());
    within("the end of the namespace", gone).await;
    let log = plane.stop().await;
    let present = |kind: &str| {
        let prefix = format!("/registry/{kind}/team/");
        let mut last = std::collections::BTreeMap::new();
        for line in log.iter().filter(|line| line.contains(&prefix)) {
            let key = line.split(' ').nth(1).expect("a key");
            last.insert(key.to_owned(), !line.ends_with(" deleted"));
        }
        last.values().filter(|present| **present).count()
    };
    for kind in ["pods", "deployments", "replicasets", "services/specs", "endpointslices", "serviceaccounts"] {
        assert_eq!(present(kind), 0, "{kind} are left");
    }
}
