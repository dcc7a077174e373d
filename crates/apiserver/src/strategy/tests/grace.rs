//! How long pods are given to end.

use serde_json::json;

use super::{strategy, with_bench};

#[test]
fn pods_end_gracefully_where_they_run() {
    with_bench(|bench| {
        for (node, phase, requested, expected) in [
            ("n", "Running", None, 30),
            ("n", "Running", Some(5), 5),
            ("n", "Running", Some(0), 0),
            ("n", "Running", Some(-1), 1),
            ("n", "Succeeded", None, 0),
            ("", "Pending", None, 0),
            ("", "Pending", Some(10), 0),
        ] {
            let mut pod = json!({
                "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30},
                "status": {"phase": phase},
            });
            let grace = strategy("core.v1.Pod").grace_period(&bench.context(""), &mut pod, requested);
            assert_eq!(grace, Some(expected), "{node} {phase} {requested:?}");
        }
    });
}

#[test]
fn new_pods_are_pending_and_classed() {
    with_bench(|bench| {
        for (resources, class) in [
            ("{}", "BestEffort"),
            ("{requests: {cpu: 1}}", "Burstable"),
            ("{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1000m, memory: 1Gi}}", "Guaranteed"),
            ("{limits: {cpu: 1, memory: 1Gi}}", "Guaranteed"),
        ] {
            let yaml = format!("spec: {{containers: [{{name: c, image: i, resources: {resources}}}]}}");
            let (pod, _) = bench.create("core.v1.Pod", &yaml);
            assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": class}), "{resources}");
        }
        let gated = "spec: {containers: [{name: c, image: i}], schedulingGates: [{name: a}]}";
        let (pod, errors) = bench.create("core.v1.Pod", gated);
        assert_eq!((&pod["status"]["conditions"][0]["reason"], errors), (&json!("SchedulingGated"), vec![]));
    });
}
