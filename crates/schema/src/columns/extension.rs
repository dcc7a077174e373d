//! Tables of the types that extend the API.

use super::{Column, read};

pub(super) static API_SERVICES: &[Column] = &[
    Column::name(),
    Column::text("Service", |o, _| match read::text(o, "spec.service.name") {
        "" => "Local".into(),
        name => format!("{}/{name}", read::text(o, "spec.service.namespace")).into(),
    }),
    Column::text("Available", |o, _| match read::condition(o, "Available") {
        Some(c) if read::text(c, "status") == "True" => "True".into(),
        Some(c) => format!("{} ({})", read::text(c, "status"), read::text(c, "reason")).into(),
        None => "Unknown".into(),
    }),
    Column::age(),
];
