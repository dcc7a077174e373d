//! Paths into objects and the errors of validation, worded as upstream words them.

mod path;

use std::{collections::HashSet, fmt};

use serde_json::Value;

pub use path::Path;

/// What is wrong with a field. The wire form (`FieldValueInvalid` …) is the `reason` of a status cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorType {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooShort,
    TooMany,
    TooFew,
    Internal,
    TypeInvalid,
}

/// One mistake in one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub kind: ErrorType,
    /// The rendered path, e.g. `spec.containers[0].name`.
    pub field: String,
    /// The refused value; `None` where the kind of error shows none.
    pub value: Option<Value>,
    pub detail: String,
}

/// Mistakes in the order in which validation found them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorList(pub Vec<Error>);

impl ErrorType {
    /// The `reason` of the cause in a Status.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooShort => "FieldValueTooShort",
            Self::TooMany => "FieldValueTooMany",
            Self::TooFew => "FieldValueTooFew",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// How messages name it: `Invalid value`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooShort => "Too short",
            Self::TooMany => "Too many",
            Self::TooFew => "Too few",
            Self::Internal => "Internal error",
        }
    }
}

impl Error {
    fn new(kind: ErrorType, path: &Path, value: Option<Value>, detail: impl Into<String>) -> Self {
        Self { kind, field: path.to_string(), value, detail: detail.into() }
    }

    #[must_use]
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Required, path, None, detail)
    }

    #[must_use]
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, Some(value.into()), detail)
    }

    /// Wrong without its value being shown.
    #[must_use]
    pub fn invalid_unshown(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, None, detail)
    }

    #[must_use]
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::TypeInvalid, path, Some(value.into()), detail)
    }

    #[must_use]
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Forbidden, path, None, detail)
    }

    #[must_use]
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorType::Duplicate, path, Some(value.into()), "")
    }

    #[must_use]
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorType::NotFound, path, Some(value.into()), "")
    }

    /// `supported` are listed in the given order; upstream sorts them, so pass them sorted.
    #[must_use]
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|s| quote(s)).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        Self::new(ErrorType::NotSupported, path, Some(value.into()), detail)
    }

    /// Longer than `max` bytes.
    #[must_use]
    pub fn too_long(path: &Path, max: usize) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(ErrorType::TooLong, path, None, format!("may not be more than {max} {unit}"))
    }

    /// Longer than `max` characters.
    #[must_use]
    pub fn too_long_characters(path: &Path, max: usize) -> Self {
        let unit = if max == 1 { "character" } else { "characters" };
        Self::new(ErrorType::TooLong, path, None, format!("may not be more than {max} {unit}"))
    }

    #[must_use]
    pub fn too_short(path: &Path, min: usize) -> Self {
        let unit = if min == 1 { "character" } else { "characters" };
        Self::new(ErrorType::TooShort, path, None, format!("must be at least {min} {unit}"))
    }

    #[must_use]
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(ErrorType::TooMany, path, Some(actual.into()), format!("must have at most {max} {unit}"))
    }

    #[must_use]
    pub fn too_few(path: &Path, actual: usize, min: usize) -> Self {
        let unit = if min == 1 { "item" } else { "items" };
        Self::new(ErrorType::TooFew, path, Some(actual.into()), format!("must have at least {min} {unit}"))
    }

    #[must_use]
    pub fn internal(path: &Path, error: &dyn std::error::Error) -> Self {
        Self::new(ErrorType::Internal, path, None, error.to_string())
    }

    /// The message without the field: what a status cause carries.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = self.kind.title().to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            match value {
                Value::String(s) => text.push_str(&quote(s)),
                other => text.push_str(&other.to_string()),
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl std::error::Error for Error {}

impl ErrorList {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// One `Invalid` error for each message: the shape in which the checks of [`crate::names`] are reported.
    pub fn extend_invalid(&mut self, path: &Path, value: &str, messages: Vec<String>) {
        self.0.extend(messages.into_iter().map(|message| Error::invalid(path, value, message)));
    }

    /// All messages as one: a single one stands alone, several in brackets; repeated ones appear once.
    #[must_use]
    pub fn message(&self) -> String {
        let mut seen = HashSet::new();
        let messages: Vec<String> =
            self.0.iter().map(ToString::to_string).filter(|message| seen.insert(message.clone())).collect();
        if messages.len() == 1 { messages.concat() } else { format!("[{}]", messages.join(", ")) }
    }
}

impl fmt::Display for ErrorList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl From<Error> for ErrorList {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl Extend<Error> for ErrorList {
    fn extend<T: IntoIterator<Item = Error>>(&mut self, iter: T) {
        self.0.extend(iter);
    }
}

impl FromIterator<Error> for ErrorList {
    fn from_iter<T: IntoIterator<Item = Error>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl IntoIterator for ErrorList {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ErrorList {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Quotes as Go's `%q` does.
#[must_use]
pub fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &Error, expected: &str) {
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn rendering() {
        let spec = Path::new("spec");
        check(
            &Error::invalid(&spec.child("replicas"), -1, "must be greater than or equal to 0"),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        );
        check(&Error::required(&spec.child("selector"), ""), "spec.selector: Required value");
        check(
            &Error::not_supported(&spec.child("type"), "x", &["A", "B"]),
            "spec.type: Unsupported value: \"x\": supported values: \"A\", \"B\"",
        );
        check(&Error::forbidden(&spec, "no"), "spec: Forbidden: no");
        check(&Error::duplicate(&spec.child("a").index(2), "n"), "spec.a[2]: Duplicate value: \"n\"");
        check(&Error::not_found(&spec.child("v"), "n"), "spec.v: Not found: \"n\"");
        check(&Error::too_long(&spec, 63), "spec: Too long: may not be more than 63 bytes");
        check(&Error::too_many(&spec, 5, 3), "spec: Too many: 5: must have at most 3 items");
        check(
            &Error::invalid(&Path::new("metadata").child("labels").key("a/b"), serde_json::json!({"x": 1}), "d"),
            "metadata.labels[a/b]: Invalid value: {\"x\":1}: d",
        );
    }

    #[test]
    fn lists_join_and_deduplicate() {
        let a = Error::required(&Path::new("a"), "");
        let b = Error::required(&Path::new("b"), "");
        assert_eq!(ErrorList(vec![a.clone(), a.clone()]).message(), "a: Required value");
        assert_eq!(ErrorList(vec![a.clone(), b, a]).message(), "[a: Required value, b: Required value]");
    }
}
