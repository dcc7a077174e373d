//! Objects as upstream's internal types print them: some of its messages show them so.
//!
//! `structs.txt` has the types: a name, then its fields in order with the field of the API and what an absent one is.
//! A type after `*` or `[]` stands behind a pointer or in a list; `map` is printed with sorted keys. `^` before a field
//! says that the API has it one object further up.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

struct Field {
    name: &'static str,
    json: &'static str,
    kind: &'static str,
}

static TYPES: LazyLock<HashMap<&str, Vec<Field>>> = LazyLock::new(|| {
    let mut types: HashMap<&str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in include_str!("structs.txt").lines() {
        let mut words = line.split_whitespace();
        match (line.strip_prefix(' '), words.next(), words.next(), words.next()) {
            (Some(_), Some(name), Some(json), Some(kind)) => {
                types.entry(current).or_default().push(Field { name, json, kind });
            }
            _ => current = line,
        }
    }
    types
});

/// A value of an API type as the internal type of that name.
pub(super) fn value(kind: &str, value: &Value) -> Value {
    of_type(kind, value, &Value::Null)
}

/// The same, printed over many lines.
pub(super) fn pretty(kind: &str, object: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    let printed = serde::Serialize::serialize(&value(kind, object), &mut serializer).is_ok();
    if printed { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() }
}

fn of_type(kind: &str, value: &Value, above: &Value) -> Value {
    let fields = TYPES.get(kind).map_or(&[][..], Vec::as_slice);
    let field = |field: &Field| {
        let (from, json) = field.json.strip_prefix('^').map_or((value, field.json), |json| (above, json));
        (field.name.to_owned(), of_field(field.kind, &from[json], value))
    };
    Value::Object(fields.iter().map(field).collect())
}

fn of_field(kind: &str, found: &Value, above: &Value) -> Value {
    if let Some(kind) = kind.strip_prefix('*') {
        return if found.is_null() { Value::Null } else { of_type(kind, found, above) };
    }
    if let Some(kind) = kind.strip_prefix("[]") {
        let Value::Array(items) = found else { return Value::Null };
        return items.iter().map(|item| of_type(kind, item, above)).collect();
    }
    match (kind, found) {
        ("map", Value::Object(entries)) => {
            let mut sorted: Vec<_> = entries.clone().into_iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(sorted.into_iter().collect())
        }
        ("map", _) => Value::Null,
        (kind, found) if TYPES.contains_key(kind) => of_type(kind, found, above),
        (zero, Value::Null) => serde_json::from_str(zero).unwrap_or(Value::Null),
        (_, found) => found.clone(),
    }
}
