//! Workloads.

use super::builder::{Row, group, namespaced};

pub(super) fn rows() -> Vec<Row> {
    group(
        "apps",
        [
            namespaced("ControllerRevision", "controllerrevisions"),
            namespaced("DaemonSet", "daemonsets").short(&["ds"]).category("all").status(),
            namespaced("Deployment", "deployments").short(&["deploy"]).category("all").status().scale("spec.selector"),
            namespaced("ReplicaSet", "replicasets").short(&["rs"]).category("all").status().scale("spec.selector"),
            namespaced("StatefulSet", "statefulsets").short(&["sts"]).category("all").status().scale("spec.selector"),
        ],
    )
}
