//! How upstream's messages show a value: its server holds objects in structs of its own, whose names in JSON are Go's.

use serde_json::{Map, Value, json};

use crate::facts::{Facts, Field, Presence, Shape, Type, TypeFacts, TypeId};

/// What Go writes in capitals at the start of a name.
const INITIALISMS: &[&str] = &[
    "api", "aws", "cephfs", "cidr", "csi", "dns", "fc", "fs", "gce", "gmsa", "grpc", "http", "id", "ip", "iscsi",
    "nfs", "os", "pd", "pid", "rbd", "se", "tcp", "tls", "ttl", "uid", "url", "uuid", "wwids",
];

/// `value`, which is of the type `ty`, as upstream's internal type of the same name prints it: every field is there.
/// Types of `meta.v1` have no internal form and stay as they are.
#[must_use]
pub fn internal(ty: &Type, value: &Value) -> Value {
    object(ty.facts(), ty.id(), value)
}

fn object(facts: &Facts, id: TypeId, value: &Value) -> Value {
    let ty = facts.get(id);
    if ty.name.starts_with("meta.") {
        return if value.is_null() { json!({}) } else { value.clone() };
    }
    let mut shown = Map::new();
    for field in ty.fields.iter().filter(|field| !is_type_meta(field, ty)) {
        let inner = value.get(&*field.name).unwrap_or(&Value::Null);
        match (&*field.name, inner) {
            // Embedded, and with names of its own.
            ("metadata", inner) => shown.extend(inner.as_object().cloned().unwrap_or_default()),
            _ => {
                shown.insert(go_name(&field.name), member(facts, field, inner));
            }
        }
    }
    Value::Object(shown)
}

fn is_type_meta(field: &Field, ty: &TypeFacts) -> bool {
    ty.gvk.is_some() && matches!(&*field.name, "kind" | "apiVersion")
}

fn member(facts: &Facts, field: &Field, value: &Value) -> Value {
    let pointer = matches!(field.presence, Presence::OmitNull | Presence::AlwaysNull);
    match (&field.shape, value) {
        (Shape::Object(_), Value::Null) if !matches!(field.presence, Presence::Always | Presence::OmitZero) => {
            Value::Null
        }
        (Shape::String, Value::Null) if !pointer => "".into(),
        (Shape::Bool, Value::Null) if !pointer => false.into(),
        (Shape::Int32 | Shape::Int64 | Shape::Float | Shape::IntOrString, Value::Null) if !pointer => 0.into(),
        (shape, value) => shown(facts, shape, value),
    }
}

fn shown(facts: &Facts, shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Object(id), value) => object(facts, *id, value),
        (Shape::List(item), Value::Array(items)) => items.iter().map(|value| shown(facts, item, value)).collect(),
        (Shape::Map(item), Value::Object(entries)) => {
            entries.iter().map(|(key, value)| (key.clone(), shown(facts, item, value))).collect()
        }
        (_, value) => value.clone(),
    }
}

/// `fieldName` as `FieldName`; `apiGroup` as `APIGroup`.
fn go_name(name: &str) -> String {
    let head = name.find(|c: char| c.is_ascii_uppercase()).unwrap_or(name.len());
    let (first, rest) = name.split_at(head);
    let singular = first.strip_suffix('s').unwrap_or(first);
    if INITIALISMS.contains(&first) {
        return format!("{}{rest}", first.to_uppercase());
    }
    if INITIALISMS.contains(&singular) {
        return format!("{}s{rest}", singular.to_uppercase());
    }
    let mut letters = first.chars();
    letters
        .next()
        .map(|letter| format!("{}{}{rest}", letter.to_ascii_uppercase(), letters.as_str()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ty: &str, value: Value, expected: Value) {
        assert_eq!(internal(&Type::builtin(ty).unwrap(), &value).to_string(), expected.to_string());
    }

    #[test]
    fn every_field_is_there_under_its_go_name() {
        check("apps.v1.DeploymentStrategy", json!({"type": "x"}), json!({"Type": "x", "RollingUpdate": null}));
        check(
            "networking.v1.ParentReference",
            json!({"resource": "services", "name": "s"}),
            json!({"Group": "", "Resource": "services", "Namespace": "", "Name": "s"}),
        );
        check("networking.v1.ServiceCIDRSpec", json!({"cidrs": ["a"]}), json!({"CIDRs": ["a"]}));
        check(
            "storage.v1.CSINodeDriver",
            json!({"name": "a", "nodeID": "b", "topologyKeys": null}),
            json!({"Name": "a", "NodeID": "b", "TopologyKeys": null, "Allocatable": null}),
        );
        check(
            "policy.v1.PodDisruptionBudgetSpec",
            json!({"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}),
            json!({"MinAvailable": 1, "Selector": {"matchLabels": {"a": "b"}}, "MaxUnavailable": null,
                "UnhealthyPodEvictionPolicy": null}),
        );
    }

    #[test]
    fn names() {
        for (json, go) in [("apiGroup", "APIGroup"), ("uids", "UIDs"), ("clusterIP", "ClusterIP"), ("name", "Name")] {
            assert_eq!(go_name(json), go);
        }
    }
}
