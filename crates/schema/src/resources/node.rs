//! Runtime classes.

use super::builder::{Row, cluster, group};

pub(super) fn rows() -> Vec<Row> {
    group("node.k8s.io", [cluster("RuntimeClass", "runtimeclasses")])
}
