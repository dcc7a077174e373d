//! Autoscalers.

use super::builder::{Row, group, namespaced};
use crate::convert::{self, Conversion};

pub(super) fn rows() -> Vec<Row> {
    group(
        "autoscaling",
        [namespaced("HorizontalPodAutoscaler", "horizontalpodautoscalers")
            .versions(&["v2", "v1"])
            .short(&["hpa"])
            .category("all")
            .status()
            .conversion(Conversion::Function(convert::autoscaling::horizontal_pod_autoscaler))],
    )
}
