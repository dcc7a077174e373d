//! What OpenAPI does not say: defaults.
//!
//! Constants are data: `overlay/defaults.txt` names a type, then its fields with the JSON that stands for an absent
//! value. Defaults that follow from other fields are functions, in [`rules`].

mod rules;

use serde_json::{Map, Value};

use crate::facts::{Facts, TypeId};

/// The defaults of one type.
#[derive(Debug, Default)]
pub struct Defaults {
    /// Position of the field, and what stands there when it is absent.
    pub(crate) constants: Vec<(usize, Value)>,
    /// Applied after the constants of the object and before those of its fields.
    pub(crate) rule: Option<Rule>,
    /// Whether this type or one below it has defaults: the walk skips what has none.
    pub(crate) reachable: bool,
}

/// Completes an object from its own fields.
pub(crate) type Rule = fn(&mut Map<String, Value>);

/// Puts the overlay's defaults on built-in facts.
///
/// # Panics
/// When the overlay names what the facts lack: the text is part of the binary and a test reads it.
pub(crate) fn attach(facts: &mut Facts) {
    let mut current: Option<TypeId> = None;
    for line in include_str!("overlay/defaults.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let Some(line) = line.strip_prefix(' ') else {
            current = Some(facts.find(line).unwrap_or_else(|| panic!("defaults: unknown type {line}")));
            continue;
        };
        let ty = facts.get_mut(current.expect("defaults: a field follows a type"));
        let (field, value) = line.split_once(' ').expect("defaults: a field and its value");
        let position = ty.position(field, 0).unwrap_or_else(|| panic!("defaults: {} has no field {field}", ty.name));
        let value = serde_json::from_str(value).expect("defaults: values are JSON");
        ty.defaults.constants.push((position, value));
    }
    for (name, rule) in rules::RULES {
        let id = facts.find(name).unwrap_or_else(|| panic!("defaults: unknown type {name}"));
        facts.get_mut(id).defaults.rule = Some(*rule);
    }
    facts.mark_reachable();
}
