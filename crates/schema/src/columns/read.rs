//! Reading objects for cells.

use jiff::Timestamp;
use serde_json::Value;

pub(crate) const NONE: &str = "<none>";
pub(crate) const UNKNOWN: &str = "<unknown>";

/// The value at a dotted path. A key that holds dots cannot be named.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, step| value.get(step))
}

/// The text at a path, or empty.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a path, or something else when it is absent or empty.
pub(crate) fn text_or<'a>(object: &'a Value, path: &str, other: &'a str) -> &'a str {
    Some(text(object, path)).filter(|t| !t.is_empty()).unwrap_or(other)
}

/// The whole number at a path, or 0.
pub(crate) fn integer(object: &Value, path: &str) -> i64 {
    at(object, path).and_then(Value::as_i64).unwrap_or_default()
}

pub(crate) fn boolean(object: &Value, path: &str) -> bool {
    at(object, path).and_then(Value::as_bool).unwrap_or_default()
}

/// A scalar at a path as Go prints it; something else when it is absent.
pub(crate) fn printed(object: &Value, path: &str, other: &str) -> String {
    match at(object, path) {
        None | Some(Value::Null) => other.to_owned(),
        Some(Value::String(s)) => s.clone(),
        Some(value) => value.to_string(),
    }
}

/// The entries of the list at a path.
pub(crate) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How many entries a list or map has.
pub(crate) fn length(object: &Value, path: &str) -> usize {
    match at(object, path) {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(entries)) => entries.len(),
        _ => 0,
    }
}

/// The texts of a list, joined.
pub(crate) fn joined(object: &Value, path: &str, separator: &str) -> String {
    list(object, path).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
}

/// The time since the moment at a path, as tables print it.
pub(crate) fn age(object: &Value, path: &str, now: Timestamp) -> String {
    since(text(object, path), now)
}

/// The time since a moment in text form.
pub(crate) fn since(moment: &str, now: Timestamp) -> String {
    match object::time::parse(moment) {
        Some(then) => object::time::human_duration(now.as_second() - then.as_second()),
        None => UNKNOWN.to_owned(),
    }
}

/// The condition of a type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "status.conditions").iter().find(|c| text(c, "type") == kind)
}

/// Whether the condition of a type is true.
pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, "status") == "True")
}

/// `a=b,c=d` in order of keys, or `<none>`.
pub(crate) fn labels(object: &Value, path: &str) -> String {
    let Some(entries) = at(object, path).and_then(Value::as_object).filter(|m| !m.is_empty()) else {
        return NONE.to_owned();
    };
    let mut pairs: Vec<String> =
        entries.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    pairs.sort_unstable();
    pairs.join(",")
}

/// A `LabelSelector` as text, or `<none>` when it selects everything.
pub(crate) fn selector(object: &Value, path: &str) -> String {
    match object::LabelSelector::from_json(at(object, path)) {
        Ok(selector) if selector.requirements().is_empty() => NONE.to_owned(),
        Ok(selector) => selector.to_string(),
        Err(_) => "<error>".to_owned(),
    }
}

/// A member of each entry of a list, joined by commas.
pub(crate) fn members(object: &Value, path: &str, member: &str) -> String {
    list(object, path).iter().map(|entry| text(entry, member)).collect::<Vec<_>>().join(",")
}

/// The object's name, marked when one of the annotations makes it the default of its kind.
pub(crate) fn marked(object: &Value, annotations: &[&str]) -> String {
    let default = annotations.iter().any(|annotation| object::meta::annotation(object, annotation) == Some("true"));
    format!("{}{}", object::meta::name(object), if default { " (default)" } else { "" })
}

/// The first three of a list; the others are only counted.
pub(crate) fn shortened(mut entries: Vec<String>) -> String {
    const SHOWN: usize = 3;
    let more = entries.len().saturating_sub(SHOWN);
    entries.truncate(SHOWN);
    let shown = entries.join(",");
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}

/// Like [`shortened`], where nothing is said so.
pub(crate) fn shortened_or_unset(entries: Vec<String>) -> String {
    Some(shortened(entries)).filter(|text| !text.is_empty()).unwrap_or_else(|| "<unset>".to_owned())
}
