//! JSON pointers (RFC 6901) and what patches do at the places they name.

use std::fmt;

use serde_json::Value;

use crate::Error;

/// Longer paths are refused: no object is as deep.
const MAX_STEPS: usize = 128;

/// A parsed pointer: the names and indexes from the root down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let path = text.strip_prefix('/').ok_or_else(|| Error::Malformed(format!("path {text:?} has no leading /")))?;
        if path.split('/').count() > MAX_STEPS {
            return Err(Error::Malformed(format!("a path has more than {MAX_STEPS} steps")));
        }
        Ok(Self(path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }

    pub(super) fn get_mut<'a>(&self, document: &'a mut Value) -> Result<&'a mut Value, Error> {
        self.descend(document, self.0.len())
    }

    /// Puts `value` into the object, or before the list entry, that the pointer names.
    pub(super) fn add(&self, document: &mut Value, value: Value) -> Result<(), Error> {
        let Some(last) = self.0.last() else {
            *document = value;
            return Ok(());
        };
        match self.descend(document, self.0.len() - 1)? {
            Value::Object(fields) => drop(fields.insert(last.clone(), value)),
            Value::Array(items) => {
                let at = if last == "-" { Some(items.len()) } else { index(last) };
                match at {
                    Some(at) if at <= items.len() => items.insert(at, value),
                    _ => return Err(self.missing()),
                }
            }
            _ => return Err(self.missing()),
        }
        Ok(())
    }

    /// Takes out what the pointer names.
    pub(super) fn remove(&self, document: &mut Value) -> Result<Value, Error> {
        let Some(last) = self.0.last() else { return Ok(document.take()) };
        let removed = match self.descend(document, self.0.len() - 1)? {
            Value::Object(fields) => fields.shift_remove(last),
            Value::Array(items) => index(last).filter(|at| *at < items.len()).map(|at| items.remove(at)),
            _ => None,
        };
        removed.ok_or_else(|| self.missing())
    }

    fn descend<'a>(&self, document: &'a mut Value, steps: usize) -> Result<&'a mut Value, Error> {
        let mut place = document;
        for step in &self.0[..steps] {
            let next = match place {
                Value::Object(fields) => fields.get_mut(step),
                Value::Array(items) => index(step).and_then(|at| items.get_mut(at)),
                _ => None,
            };
            place = next.ok_or_else(|| self.missing())?;
        }
        Ok(place)
    }

    fn missing(&self) -> Error {
        Error::Rejected(format!("operation does not apply: path {self} does not exist"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// A list index as the RFC has it: digits, no leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    if plain { step.parse().ok() } else { None }
}
