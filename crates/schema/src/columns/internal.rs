//! Tables of the store's own types.

use serde_json::Value;

use super::{Column, read};

pub(super) static STORAGE_VERSIONS: &[Column] = &[
    Column::name(),
    Column::text("CommonEncodingVersion", |o, _| read::text_or(o, "status.commonEncodingVersion", "<unset>").into()),
    Column::text("StorageVersions", |o, _| {
        let version = |v: &Value| format!("{}={}", read::text(v, "apiServerID"), read::text(v, "encodingVersion"));
        match read::list(o, "status.storageVersions") {
            [] => "<unset>".into(),
            versions => versions.iter().map(version).collect::<Vec<_>>().join(",").into(),
        }
    }),
    Column::age(),
];

pub(super) static STORAGE_VERSION_MIGRATIONS: &[Column] = &[
    Column::name(),
    Column::text("Resource", |o, _| {
        let (group, resource) = (read::text(o, "spec.resource.group"), read::text(o, "spec.resource.resource"));
        object::qualified_resource(group, resource).into()
    }),
];
