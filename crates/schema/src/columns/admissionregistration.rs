//! Tables of admission webhooks and policies.

use serde_json::Value;

use super::{Column, read};

pub(super) static WEBHOOK_CONFIGURATIONS: &[Column] =
    &[Column::name(), Column::count("Webhooks", |o, _| read::length(o, "webhooks").into()), Column::age()];

pub(super) static VALIDATING_ADMISSION_POLICIES: &[Column] = &[
    Column::name(),
    Column::count("Validations", |o, _| read::length(o, "spec.validations").into()),
    Column::text("ParamKind", |o, _| param_kind(o).into()),
    Column::age(),
];

pub(super) static MUTATING_ADMISSION_POLICIES: &[Column] = &[
    Column::name(),
    Column::count("Mutations", |o, _| read::length(o, "spec.mutations").into()),
    Column::text("ParamKind", |o, _| param_kind(o).into()),
    Column::age(),
];

pub(super) static ADMISSION_POLICY_BINDINGS: &[Column] = &[
    Column::name(),
    Column::path("PolicyName", "spec.policyName"),
    Column::text("ParamRef", |o, _| param_ref(o).into()),
    Column::age(),
];

fn param_kind(policy: &Value) -> String {
    let kind = read::text(policy, "spec.paramKind.kind");
    if kind.is_empty() {
        return "<unset>".to_owned();
    }
    format!("{}/{kind}", read::text(policy, "spec.paramKind.apiVersion"))
}

fn param_ref(binding: &Value) -> String {
    if !read::at(binding, "spec.paramRef").is_some_and(Value::is_object) {
        return "<unset>".to_owned();
    }
    match (read::text(binding, "spec.paramRef.namespace"), read::text(binding, "spec.paramRef.name")) {
        ("", "") => read::selector(binding, "spec.paramRef.selector"),
        ("", name) => name.to_owned(),
        (namespace, "") => format!("{namespace}/{}", read::selector(binding, "spec.paramRef.selector")),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
