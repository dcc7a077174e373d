//! JSON patch (RFC 6902).

mod pointer;

use serde_json::Value;

use crate::Error;
use pointer::Pointer;

/// The most operations of one patch.
pub const MAX_OPERATIONS: usize = 10_000;

/// The most that all `copy` operations of one patch may add, in about as many bytes of JSON.
pub const MAX_COPIED: usize = 3 << 20;

/// How many steps the target paths of all `move` and `copy` operations may have together: each may make the document
/// deeper by as many.
const MAX_DEEPENING: usize = 1024;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
enum Operation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
}

/// Applies `patch`, a list of operations, to `document`; when one fails, `document` is left half changed.
///
/// # Errors
/// [`Error::Malformed`] for what is no JSON patch, [`Error::TooLarge`] beyond the limits, [`Error::Rejected`] when an
/// operation does not fit the document.
pub fn apply(document: &mut Value, patch: &Value) -> Result<(), Error> {
    let Value::Array(operations) = patch else {
        return Err(Error::Malformed("a JSON patch is a list of operations".to_owned()));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(Error::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let operations = operations.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let deepening: usize = operations.iter().map(Operation::deepening).sum();
    if deepening > MAX_DEEPENING {
        return Err(Error::TooLarge(format!("the paths that the patch moves to have more than {MAX_DEEPENING} steps")));
    }
    let mut copied = 0;
    operations.into_iter().try_for_each(|operation| operation.run(document, &mut copied))
}

fn parse(operation: &Value) -> Result<Operation, Error> {
    let path = pointer(operation, "path")?;
    let value = || {
        let value = operation.get("value").cloned();
        value.ok_or_else(|| Error::Malformed(format!("operation on {path} has no value")))
    };
    Ok(match operation.get("op").and_then(Value::as_str) {
        Some("add") => Operation::Add { value: value()?, path },
        Some("remove") => Operation::Remove { path },
        Some("replace") => Operation::Replace { value: value()?, path },
        Some("move") => Operation::Move { from: pointer(operation, "from")?, path },
        Some("copy") => Operation::Copy { from: pointer(operation, "from")?, path },
        Some("test") => Operation::Test { value: operation.get("value").cloned().unwrap_or(Value::Null), path },
        Some(other) => return Err(Error::Malformed(format!("unexpected operation {other:?}"))),
        None => return Err(Error::Malformed("operation without op".to_owned())),
    })
}

fn pointer(operation: &Value, name: &str) -> Result<Pointer, Error> {
    let text = operation.get(name).and_then(Value::as_str);
    Pointer::parse(text.ok_or_else(|| Error::Malformed(format!("operation without {name}")))?)
}

impl Operation {
    /// By how much it may make a document deeper, beyond what a single value and path allow.
    fn deepening(&self) -> usize {
        match self {
            Self::Move { path, .. } | Self::Copy { path, .. } => path.len(),
            _ => 0,
        }
    }

    fn run(self, document: &mut Value, copied: &mut usize) -> Result<(), Error> {
        match self {
            Self::Add { path, value } => path.add(document, value),
            Self::Remove { path } => path.remove(document).map(drop),
            Self::Replace { path, value } => {
                *path.get_mut(document)? = value;
                Ok(())
            }
            Self::Move { from, path } => {
                if path.is_below(&from) {
                    return Err(Error::Rejected(format!("cannot move {from} into itself")));
                }
                let value = from.remove(document)?;
                path.add(document, value)
            }
            Self::Copy { from, path } => {
                let value = from.get_mut(document)?.clone();
                *copied += weight(&value);
                if *copied > MAX_COPIED {
                    return Err(Error::TooLarge(format!("the patch copies more than {MAX_COPIED} bytes")));
                }
                path.add(document, value)
            }
            Self::Test { path, value } => match path.get_mut(document) {
                Ok(found) if *found == value => Ok(()),
                Err(_) if value.is_null() => Ok(()),
                _ => Err(Error::Rejected(format!("testing value {path} failed"))),
            },
        }
    }
}

/// About how many bytes of JSON a value is.
fn weight(value: &Value) -> usize {
    2 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 3,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 3 + weight(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: Value, patch: Value, expected: Option<Value>) {
        let mut patched = document.clone();
        let outcome = apply(&mut patched, &patch).ok().map(|()| patched);
        assert_eq!(outcome, expected, "{document} with {patch}");
    }

    #[test]
    fn operations() {
        let op = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
        let from = |op: &str, from: &str, path: &str| json!([{"op": op, "path": path, "from": from}]);
        check(json!({"a": 1}), op("add", "/b", json!(2)), Some(json!({"a": 1, "b": 2})));
        check(json!({"a": [1, 3]}), op("add", "/a/1", json!(2)), Some(json!({"a": [1, 2, 3]})));
        check(json!({"a": [1]}), op("add", "/a/-", json!(2)), Some(json!({"a": [1, 2]})));
        check(json!({"a": [1]}), op("add", "/a/2", json!(2)), None);
        check(json!({"a": [1]}), op("add", "/a/01", json!(2)), None);
        check(json!({"a": 1}), op("add", "/b/c", json!(2)), None);
        check(json!({"a": 1}), op("add", "", json!([])), Some(json!([])));
        check(json!({"a": 1, "b": 2, "c": 3}), op("remove", "/a", json!(0)), Some(json!({"b": 2, "c": 3})));
        check(json!({"a": 1}), op("remove", "/b", json!(0)), None);
        check(json!({"a": [1, 2]}), op("remove", "/a/-", json!(0)), None);
        check(json!({"a": 1}), op("replace", "/a", json!(null)), Some(json!({"a": null})));
        check(json!({"a": 1}), op("replace", "/b", json!(1)), None);
        check(json!({"a/b": 1, "m~n": 2}), op("remove", "/a~1b", json!(0)), Some(json!({"m~n": 2})));
        check(json!({"~1": 1}), op("test", "/~01", json!(1)), Some(json!({"~1": 1})));
        check(json!({"a": 1}), op("test", "/a", json!(2)), None);
        check(json!({"a": {"b": 1}}), from("move", "/a/b", "/c"), Some(json!({"a": {}, "c": 1})));
        check(json!({"a": {"b": 1}}), from("move", "/a", "/a/c"), None);
        check(json!({"a": [1, 2]}), from("copy", "/a/0", "/a/-"), Some(json!({"a": [1, 2, 1]})));
    }

    #[test]
    fn what_is_no_patch() {
        for patch in [
            json!({}),
            json!([{}]),
            json!([{"op": "add", "path": "/a"}]),
            json!([{"op": "move", "path": "/a"}]),
            json!([{"op": "jump", "path": "/a"}]),
            json!([{"op": "remove", "path": "a"}]),
        ] {
            assert!(matches!(apply(&mut json!({"a": 1}), &patch), Err(Error::Malformed(_))), "{patch}");
        }
    }

    #[test]
    fn limits() {
        let many = vec![json!({"op": "test", "path": "/a", "value": 1}); MAX_OPERATIONS + 1];
        assert!(matches!(apply(&mut json!({"a": 1}), &many.into()), Err(Error::TooLarge(_))));
        let doubling: Vec<_> = (0..40).map(|n| json!({"op": "copy", "from": "", "path": format!("/a{n}")})).collect();
        assert!(matches!(apply(&mut json!({"a": "x"}), &doubling.into()), Err(Error::TooLarge(_))));
        let deep = json!([{"op": "add", "path": "/a".repeat(200), "value": 1}]);
        assert!(matches!(apply(&mut json!({}), &deep), Err(Error::Malformed(_))));
        let deeper: Vec<_> = (0..2000).map(|_| json!({"op": "copy", "from": "", "path": "/a"})).collect();
        assert!(matches!(apply(&mut json!({}), &deeper.into()), Err(Error::TooLarge(_))));
    }
}
