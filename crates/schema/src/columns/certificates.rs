//! Tables of certificate requests and trust.

use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static CERTIFICATE_SIGNING_REQUESTS: &[Column] = &[
    Column::name(),
    Column::age(),
    Column::text("SignerName", |o, _| read::text_or(o, "spec.signerName", NONE).into()),
    Column::path("Requestor", "spec.username"),
    Column::text("RequestedDuration", |o, _| match read::at(o, "spec.expirationSeconds").and_then(Value::as_i64) {
        Some(seconds) => object::time::human_duration(seconds).into(),
        None => NONE.into(),
    }),
    Column::text("Condition", |o, _| condition(o).into()),
];

pub(super) static CLUSTER_TRUST_BUNDLES: &[Column] =
    &[Column::name(), Column::text("SignerName", |o, _| read::text_or(o, "spec.signerName", NONE).into())];

pub(super) static POD_CERTIFICATE_REQUESTS: &[Column] = &[
    Column::name(),
    Column::path("PodName", "spec.podName"),
    Column::path("ServiceAccountName", "spec.serviceAccountName"),
    Column::path("NodeName", "spec.nodeName"),
    Column::path("SignerName", "spec.signerName"),
    Column::text("State", |o, _| {
        let known = |c: &&Value| matches!(read::text(c, "type"), "Issued" | "Denied" | "Failed");
        read::list(o, "status.conditions").iter().rfind(known).map_or("Pending", |c| read::text(c, "type")).into()
    }),
    Column::text("UnverifiedUserAnnotations", |o, _| read::labels(o, "spec.unverifiedUserAnnotations").into()),
];

fn condition(request: &Value) -> String {
    let has = |kind| read::condition(request, kind).is_some();
    let mut text = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        text.push_str(",Failed");
    }
    if !read::text(request, "status.certificate").is_empty() {
        text.push_str(",Issued");
    }
    text
}
