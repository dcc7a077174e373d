//! Pods without a place say why, and get one when there is one.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::plane::Plane;

const LONG: Duration = Duration::from_secs(120);

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_node() {
    let plane = Plane::start_with(1, &["deployment"]).await;
    let client = plane.client();
    let nodes = Api::<Node>::all(client.clone());
    let cordon = |cordoned: bool| Patch::Merge(json!({"spec": {"unschedulable": cordoned}}));
    nodes.patch("node-1", &PatchParams::default(), &cordon(true)).await.expect("the server agrees");
    let pod = json!({"metadata": {"name": "big"}, "spec": {
        "nodeSelector": {"kubernetes.io/hostname": "node-1"},
        "containers": [{"name": "c", "image": "i"}],
    }});
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    pods.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await.expect("the server agrees");
    let cache = plane.informers.of::<Pod>();
    let told = cache.wait_until(|cache| cache.list().iter().any(|pod| message(pod).is_some()));
    tokio::time::timeout(LONG, told).await.expect("the pod says why it waits");
    assert_eq!(
        message(&cache.list()[0]).expect("a message"),
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable. \
         no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    );
    nodes.patch("node-1", &PatchParams::default(), &cordon(false)).await.expect("the server agrees");
    let placed =
        cache.wait_until(|cache| cache.list().iter().all(|pod| control::pods::node_name(pod) == Some("node-1")));
    tokio::time::timeout(LONG, placed).await.expect("the pod gets its place");
    let events = plane.informers.of::<Event>();
    let both = events.wait_until(|cache| {
        let seen = |reason: &str| cache.list().iter().any(|event| event.reason.as_deref() == Some(reason));
        seen("FailedScheduling") && seen("Scheduled")
    });
    tokio::time::timeout(LONG, both).await.expect("the events tell it");
    plane.stop().await;
}

/// Why the pod has no place.
fn message(pod: &Pod) -> Option<String> {
    let condition = control::pods::condition(pod, "PodScheduled")?;
    condition.message.clone().filter(|_| condition.status == "False")
}
