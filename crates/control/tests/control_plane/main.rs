//! A whole control plane on virtual time: store, API server, controllers, scheduler and nodes without containers, all in
//! memory. The same seed gives the same log of store revisions twice.

mod cleanup;
mod electing;
mod placing;
mod plane;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use plane::Plane;

/// More virtual time than any rollout here takes.
const LONG: Duration = Duration::from_secs(600);

fn deployment() -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}]},
            },
        },
    }))
    .expect("a deployment")
}

/// Waits until the rollout of `image` with `replicas` is done and nothing of older ones is left.
async fn rolled_out(plane: &Plane, image: &str, replicas: i32) {
    let deployments = plane.informers.of::<Deployment>();
    let pods = plane.informers.of::<Pod>();
    let done = deployments.wait_until(|cache| {
        let Some(web) = cache.get(Some("default"), "web") else { return false };
        let status = web.status.clone().unwrap_or_default();
        let counts = [status.replicas, status.updated_replicas, status.available_replicas];
        status.observed_generation == web.metadata.generation
            && counts.iter().all(|count| count.unwrap_or(0) == replicas)
    });
    tokio::time::timeout(LONG, done).await.unwrap_or_else(|_| panic!("no rollout: {:#?}", deployments.list()));
    let settled = pods.wait_until(|cache| {
        let pods = cache.list_in("default");
        let is_of = |pod: &Pod| pod.spec.iter().all(|spec| spec.containers[0].image.as_deref() == Some(image));
        usize::try_from(replicas) == Ok(pods.len()) && pods.iter().all(|pod| is_of(pod))
    });
    tokio::time::timeout(LONG, settled).await.unwrap_or_else(|_| panic!("old pods are left: {:#?}", pods.list()));
}

/// Creates, scales and rolls a deployment, and returns the log of the store.
async fn story(seed: u64) -> Vec<String> {
    let plane = Plane::start(seed).await;
    let deployments = Api::<Deployment>::namespaced(plane.client(), "default");
    deployments.create(&PostParams::default(), &deployment()).await.expect("the server agrees");
    rolled_out(&plane, "web:1", 3).await;
    let patch = |patch: serde_json::Value| Patch::Merge(patch);
    deployments
        .patch("web", &PatchParams::default(), &patch(json!({"spec": {"replicas": 5}})))
        .await
        .expect("the server agrees");
    rolled_out(&plane, "web:1", 5).await;
    let template = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
    deployments.patch("web", &PatchParams::default(), &Patch::Strategic(template)).await.expect("the server agrees");
    rolled_out(&plane, "web:2", 5).await;
    plane.stop().await
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_created_scaled_and_rolled() {
    let log = story(1).await;
    assert!(log.len() > 50, "{} changes", log.len());
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_the_same_log_twice() {
    let (first, second) = (story(7).await, story(7).await);
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a, b);
    }
    assert_eq!(first.len(), second.len());
    assert_ne!(first, story(8).await, "another seed gives another story");
}
