//! Jobs.

use super::builder::{Row, group, namespaced};

pub(super) fn rows() -> Vec<Row> {
    group(
        "batch",
        [
            namespaced("CronJob", "cronjobs").short(&["cj"]).category("all").status(),
            namespaced("Job", "jobs").category("all").status().field("status.successful", "status.succeeded", "0"),
        ],
    )
}
