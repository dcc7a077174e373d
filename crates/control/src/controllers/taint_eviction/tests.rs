//! Pods on tainted nodes, in a simulated world.

use k8s_openapi::api::core::v1::Pod;

use super::CONTROLLER;
use crate::sim::Sim;

fn sim(tolerations: &str) -> Sim {
    let world = format!(
        "- {{kind: Node, metadata: {{name: node-1}}, spec: {{taints: [{{key: k, value: v, effect: NoExecute, timeAdded: '2025-12-31T23:59:50Z'}}]}}}}\n\
         - {{kind: Pod, metadata: {{namespace: ns, name: pod}}, spec: {{nodeName: node-1, containers: [], tolerations: [{tolerations}]}}}}\n"
    );
    Sim::new(&[&CONTROLLER], &world)
}

/// Seconds until the pod is evicted; `None` for never.
fn check(tolerations: &str, expected: Option<u64>) {
    let mut sim = sim(tolerations);
    let plan = sim.step(&CONTROLLER, &informer::Key::new(Some("ns"), "pod"), None);
    match expected {
        None => assert!(plan.is_empty() && plan.requeue_after.is_none(), "{tolerations}: {plan:?}"),
        Some(0) => {
            assert_eq!(sim.settle(3), ["patch status of pods ns/pod", "delete pods ns/pod"], "{tolerations}");
            assert!(sim.all::<Pod>().is_empty());
        }
        Some(seconds) => assert_eq!(plan.requeue_after.unwrap().as_secs(), seconds, "{tolerations}"),
    }
}

#[test]
fn tolerations() {
    check("", Some(0));
    check("{operator: Exists}", None);
    check("{key: k, operator: Exists, effect: NoExecute}", None);
    check("{key: k, value: v}", None);
    check("{key: k, value: other}", Some(0));
    check("{key: other, operator: Exists}", Some(0));
    check("{key: k, operator: Exists, effect: NoSchedule}", Some(0));
    check("{key: k, operator: Exists, tolerationSeconds: 300}", Some(290));
    check("{key: k, operator: Exists, tolerationSeconds: 5}", Some(0));
    check("{key: k, operator: Exists, tolerationSeconds: 300}, {operator: Exists, tolerationSeconds: 60}", Some(50));
}
