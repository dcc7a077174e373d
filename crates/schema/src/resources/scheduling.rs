//! Priorities and pod groups.

use super::builder::{Row, cluster, group, namespaced};

pub(super) fn rows() -> Vec<Row> {
    group(
        "scheduling.k8s.io",
        [
            namespaced("PodGroup", "podgroups").versions(&["v1alpha2"]).status(),
            cluster("PriorityClass", "priorityclasses").short(&["pc"]),
            namespaced("Workload", "workloads").versions(&["v1alpha2"]),
        ],
    )
}
