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
    match (read::text(binding, "spec.paramRef.namespace"), read::text(binding, "spec.paramRef.name")) {
        (_, "") => read::at(binding, "spec.paramRef.selector")
            .filter(|s| s.is_object())
            .map_or_else(|| "<unset>".to_owned(), go),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

/// A label selector as Go prints it.
fn go(selector: &Value) -> String {
    let labels = read::at(selector, "matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut labels: Vec<String> =
        labels.map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default())).collect();
    labels.sort_unstable();
    let expressions: Vec<String> = read::list(selector, "matchExpressions").iter().map(go_requirement).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions.concat()
    )
}

fn go_requirement(expression: &Value) -> String {
    let (key, operator) = (read::text(expression, "key"), read::text(expression, "operator"));
    let values = read::joined(expression, "values", " ");
    format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
}
