//! Checks of single fields as data: where a field is, and what must hold there.

use object::field::ErrorList;
use object::names;

use super::field::{At, Check, one_of, optional_name, optional_one_of, required, required_name};

/// What must hold of a field.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Must not be empty.
    Required,
    /// Must be there and well formed.
    Name(Check),
    /// May be absent, must otherwise be well formed.
    OptionalName(Check),
    /// Must be one of these.
    OneOf(&'static [&'static str]),
    /// May be absent, must otherwise be one of these.
    OptionalOneOf(&'static [&'static str]),
    /// A number from the first to the second, when there is one.
    Range(i64, i64),
    /// Permissions of a file, when there are any.
    Mode,
    /// Whatever the function says.
    Holds(fn(&At<'_>, &mut ErrorList)),
}

/// Fields below an object and their rules, in the order in which errors are told. A dotted path is looked at only where
/// all but its last field are set; the empty path is the object itself.
pub(super) type Rules = &'static [(&'static str, Rule)];

/// Checks the fields of an object.
pub(super) fn check(object: &At<'_>, rules: Rules, errors: &mut ErrorList) {
    for (path, rule) in rules {
        if let Some(at) = field_at(object, path) {
            rule.check(&at, errors);
        }
    }
}

impl Rule {
    fn check(self, at: &At<'_>, errors: &mut ErrorList) {
        match self {
            Self::Required => {
                required(at, errors);
            }
            Self::Name(check) => required_name(at, check, errors),
            Self::OptionalName(check) => optional_name(at, check, errors),
            Self::OneOf(supported) => one_of(at, supported, errors),
            Self::OptionalOneOf(supported) => optional_one_of(at, supported, errors),
            Self::Range(low, high) => in_range(at, low, high, errors),
            Self::Mode => mode(at, errors),
            Self::Holds(check) => check(at, errors),
        }
    }
}

fn field_at<'a>(object: &At<'a>, path: &str) -> Option<At<'a>> {
    if path.is_empty() {
        return Some(object.clone());
    }
    let mut at = object.clone();
    for (index, field) in path.split('.').enumerate() {
        if index > 0 && !at.is_set() {
            return None;
        }
        at = at.at(field);
    }
    Some(at)
}

pub(super) fn in_range(at: &At<'_>, low: i64, high: i64, errors: &mut ErrorList) {
    let messages = at.number().map(|number| names::in_range(number, low, high)).unwrap_or_default();
    errors.extend(messages.into_iter().map(|message| at.invalid(message)));
}

fn mode(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(at.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}
