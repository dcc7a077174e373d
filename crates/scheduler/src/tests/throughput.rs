//! Decisions a second on a large cluster. Run with `cargo test --release -p scheduler -- --ignored --nocapture`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::{asking, node};
use crate::{Decision, PodInfo, Snapshot, schedule};

const NODES: usize = 5000;
const PODS: usize = 10_000;

#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "measures the machine")]
fn decisions_on_five_thousand_nodes() {
    let mut snapshot = Snapshot::default();
    for number in 0..NODES {
        let nodes: Vec<Node> = serde_saphyr::from_str(&node(&format!("node-{number}"), "")).unwrap();
        snapshot.set_node(&nodes[0]);
    }
    let template: Pod = serde_saphyr::from_str(&asking("cpu: 100m, memory: 200Mi")).unwrap();
    let begin = std::time::Instant::now();
    let mut start = 0;
    for number in 0..PODS {
        let mut pod = template.clone();
        pod.metadata.uid = Some(format!("pod-{number}"));
        let pod = Arc::new(PodInfo::new(&pod));
        let Decision::Place { node, examined } = schedule(&pod, &snapshot, start) else { panic!("no place") };
        start = (start + examined) % snapshot.len();
        let name = Arc::clone(snapshot.name(node));
        snapshot.place(pod, &name);
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{:.0} pods/s over {NODES} nodes", PODS as f64 / seconds);
}
