//! Tables of role bindings.

use serde_json::Value;

use super::{Column, read};

pub(super) static ROLE_BINDINGS: &[Column] = &[
    Column::name(),
    Column::text("Role", |o, _| format!("{}/{}", read::text(o, "roleRef.kind"), read::text(o, "roleRef.name")).into()),
    Column::age(),
    Column::text("Users", |o, _| subjects(o, "User").into()).wide(),
    Column::text("Groups", |o, _| subjects(o, "Group").into()).wide(),
    Column::text("ServiceAccounts", |o, _| subjects(o, "ServiceAccount").into()).wide(),
];

fn subjects(binding: &Value, kind: &str) -> String {
    let name = |s: &Value| match (kind, read::text(s, "namespace")) {
        ("ServiceAccount", namespace) if !namespace.is_empty() => format!("{namespace}/{}", read::text(s, "name")),
        _ => read::text(s, "name").to_owned(),
    };
    let subjects = read::list(binding, "subjects").iter().filter(|s| read::text(s, "kind") == kind);
    subjects.map(name).collect::<Vec<_>>().join(", ")
}
