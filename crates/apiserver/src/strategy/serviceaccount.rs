//! ServiceAccounts.

use serde_json::{Value, json};

use super::{Context, Strategy};

pub(super) struct ServiceAccount;

const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

impl Strategy for ServiceAccount {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        names_only(object);
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, _: &Value) {
        names_only(object);
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let has = |object: &Value| !object["metadata"]["annotations"][MOUNTABLE].is_null();
        if !has(object) || old.is_some_and(has) {
            return Vec::new();
        }
        let hint = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        vec![format!("metadata.annotations[{MOUNTABLE}]: {hint}")]
    }

    fn returns_deleted(&self) -> bool {
        true
    }
}

/// References to secrets are names; whatever else they say is dropped.
fn names_only(object: &mut Value) {
    for secret in object.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten() {
        *secret = match &secret["name"] {
            Value::String(name) if !name.is_empty() => json!({ "name": name }),
            _ => json!({}),
        };
    }
}
