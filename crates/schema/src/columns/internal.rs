//! Tables of the store's own types.

use serde_json::Value;

use super::{Column, read};

pub(super) static STORAGE_VERSIONS: &[Column] = &[
    Column::name(),
    Column::text("CommonEncodingVersion", |o, _| read::text_or(o, "status.commonEncodingVersion", "<unset>").into()),
    Column::text("StorageVersions", |o, _| {
        let version = |v: &Value| format!("{}={}", read::text(v, "apiServerID"), read::text(v, "encodingVersion"));
        read::shortened_or_unset(read::list(o, "status.storageVersions").iter().map(version).collect()).into()
    }),
    Column::age(),
];

pub(super) static STORAGE_VERSION_MIGRATIONS: &[Column] = &[
    Column::path("Name", "metadata.name"),
    Column::text("Resource", |o, _| {
        let (group, resource) = (read::text(o, "spec.resource.group"), read::text(o, "spec.resource.resource"));
        object::qualified_resource(group, resource).into()
    }),
    Column::text("Status", |o, _| {
        let known = |c: &&Value| matches!(read::text(c, "type"), "Running" | "Failed" | "Succeeded");
        let is_true = |c: &&Value| read::text(c, "status") == "True";
        let last = read::list(o, "status.conditions").iter().filter(known).rfind(is_true);
        last.map_or("Unknown", |c| read::text(c, "type")).into()
    }),
];
