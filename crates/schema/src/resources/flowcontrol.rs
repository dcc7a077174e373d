//! Priority and fairness.

use super::builder::{Row, cluster, group};

pub(super) fn rows() -> Vec<Row> {
    group(
        "flowcontrol.apiserver.k8s.io",
        [
            cluster("FlowSchema", "flowschemas").status(),
            cluster("PriorityLevelConfiguration", "prioritylevelconfigurations").status(),
        ],
    )
}
