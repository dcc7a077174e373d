//! Strategic merge patches between two states of a status.

use serde_json::{Map, Value, json};

/// A patch that turns `old` into `new`, field by field; `None` where they are the same. Only the conditions that differ
/// are sent; lists named in `replaced` would be merged by the server and are sent whole instead.
#[must_use]
pub fn difference(old: &Value, new: &Value, replaced: &[&str]) -> Option<Value> {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let mut patch = Map::new();
    for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(*value)) {
        let value = match (key.as_str(), value, old.get(key)) {
            ("conditions", Value::Array(new), Some(Value::Array(old))) => Value::Array(
                new.iter().filter(|condition| !old.contains(condition)).map(|new| changed(new, old)).collect(),
            ),
            (key, Value::Array(new), Some(_)) if replaced.contains(&key) => {
                Value::Array(std::iter::once(json!({"$patch": "replace"})).chain(new.iter().cloned()).collect())
            }
            _ => value.clone(),
        };
        if value.as_array().is_none_or(|list| !list.is_empty()) {
            patch.insert(key.clone(), value);
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// A condition as the server is to merge it into the one it has: what is no longer said is null.
fn changed(new: &Value, old: &[Value]) -> Value {
    let mut condition = new.clone();
    let before = old.iter().find(|known| known["type"] == new["type"]).and_then(Value::as_object);
    for key in before.into_iter().flat_map(Map::keys).filter(|key| new.get(*key).is_none()) {
        condition[key.as_str()] = Value::Null;
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PodStatus;

    fn check(old: Value, new: Value, expected: Value) {
        // through the type, which decides how times are written
        let status = |value| serde_json::to_value(serde_json::from_value::<PodStatus>(value).unwrap()).unwrap();
        assert_eq!(difference(&status(old), &status(new), &["podIPs"]).unwrap_or_default(), expected);
    }

    #[test]
    fn differences() {
        check(json!({"phase": "Running"}), json!({"phase": "Running"}), Value::Null);
        let ended = json!({"phase": "Running", "reason": null});
        check(json!({"phase": "Pending", "reason": "x"}), json!({"phase": "Running"}), ended);
        let (a, b) = (json!({"type": "A", "status": "True"}), json!({"type": "B", "status": "False"}));
        let c = json!({"type": "B", "status": "True"});
        check(json!({"conditions": [a, b]}), json!({"conditions": [a, c]}), json!({"conditions": [c]}));
        let because = json!({"type": "B", "status": "False", "reason": "Because"});
        let without = json!({"type": "B", "status": "True", "reason": null});
        check(json!({"conditions": [a, because]}), json!({"conditions": [a, c]}), json!({"conditions": [without]}));
        check(
            json!({"podIPs": [{"ip": "1.1.1.1"}]}),
            json!({"podIPs": [{"ip": "2.2.2.2"}]}),
            json!({"podIPs": [{"$patch": "replace"}, {"ip": "2.2.2.2"}]}),
        );
        // parts of seconds are not shown
        let at = |time: &str| json!({"startTime": time});
        check(at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:01.5Z"), Value::Null);
    }
}
