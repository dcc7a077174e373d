//! Refused values as upstream shows them: an object is shown in its internal form, where fields have Go's names and none
//! is left out.

use schema::facts::{Field, Presence};
use schema::{Facts, Shape, Type, TypeFacts};
use serde_json::{Map, Value};

/// Words that Go writes in capitals at the beginning of a name.
const INITIALS: &[(&str, &str)] = &[
    ("api", "API"),
    ("uid", "UID"),
    ("url", "URL"),
    ("ip", "IP"),
    ("json", "JSON"),
    ("pkix", "PKIX"),
    ("cel", "CEL"),
    ("id", "ID"),
];

/// An object of the built-in type `name` as messages show it. Types of `meta.v1` have no internal form.
pub(super) fn shown(name: &str, value: &Value) -> Value {
    let Some(ty) = Type::builtin(name) else { return value.clone() };
    object(ty.facts(), ty.get(), value)
}

fn object(facts: &Facts, ty: &TypeFacts, value: &Value) -> Value {
    if ty.name.starts_with("meta.v1.") || !value.is_object() {
        return value.clone();
    }
    let mut shown = Map::new();
    for field in in_order(ty) {
        match &value[&*field.name] {
            // Go has it embedded, and so its fields stand among the others.
            Value::Object(metadata) if *field.name == *"metadata" => shown.extend(metadata.clone()),
            Value::Null if *field.name == *"metadata" => {}
            value => {
                shown.insert(go_name(&field.name), shown_field(facts, field, value));
            }
        }
    }
    Value::Object(shown)
}

/// The fields of a type in Go's order, which for schemas is not that of the wire.
fn in_order(ty: &TypeFacts) -> Vec<&Field> {
    let mut fields: Vec<&Field> = ty.fields.iter().collect();
    if *ty.name == *"apiextensions.v1.JSONSchemaProps" {
        let early =
            |field: &&Field| ["id", "$schema", "$ref", "description", "type", "nullable"].contains(&&*field.name);
        fields.sort_by_key(|field| !early(field));
    }
    fields
}

fn shown_field(facts: &Facts, field: &Field, value: &Value) -> Value {
    match (&field.shape, value) {
        (shape, Value::Null) => absent(facts, shape, field.presence),
        (shape, value) => below(facts, shape, value),
    }
}

fn below(facts: &Facts, shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Object(id) | Shape::ObjectOr(id, _), value) => object(facts, facts.get(*id), value),
        (Shape::List(item), Value::Array(items)) => items.iter().map(|value| below(facts, item, value)).collect(),
        (Shape::Map(item), Value::Object(entries)) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), below(facts, item, value))).collect())
        }
        (_, value) => value.clone(),
    }
}

/// What Go has where nothing was said: nil where there is a pointer, else the zero value.
fn absent(facts: &Facts, shape: &Shape, presence: Presence) -> Value {
    if matches!(presence, Presence::OmitNull | Presence::AlwaysNull) {
        return Value::Null;
    }
    match shape {
        Shape::String => "".into(),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Float => 0.into(),
        Shape::Object(id) if matches!(presence, Presence::Always | Presence::OmitZero) => {
            object(facts, facts.get(*id), &Value::Object(Map::new()))
        }
        _ => Value::Null,
    }
}

/// The name of a field in Go: extensions of schemas lose the word that they all have.
fn go_name(name: &str) -> String {
    let name = name.trim_start_matches('$');
    if let Some(extension) = name.strip_prefix("x-kubernetes-") {
        return std::iter::once("x").chain(extension.split('-')).map(go_name).collect();
    }
    let end = name.find(|c: char| c.is_ascii_uppercase()).unwrap_or(name.len());
    let (first, rest) = name.split_at(end);
    match INITIALS.iter().find(|(word, _)| *word == first) {
        Some((_, capitals)) => format!("{capitals}{rest}"),
        None => first.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(name.chars().skip(1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_have_go_names() {
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"});
        assert_eq!(
            shown("rbac.v1.RoleRef", &role).to_string(),
            r#"{"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"a"}"#
        );
        let level = json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}});
        assert_eq!(
            shown("flowcontrol.v1.PriorityLevelConfigurationSpec", &level).to_string(),
            r#"{"Type":"Limited","Limited":{"NominalConcurrencyShares":null,"LimitResponse":{"Type":"Reject","Queuing":null},"LendablePercent":null,"BorrowingLimitPercent":null},"Exempt":null}"#
        );
    }
}
