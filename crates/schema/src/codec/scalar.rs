//! Scalars that have a canonical form, and how messages name types.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use object::{Quantity, quantity::QuantityError};
use serde_json::{Number, Value};

use crate::facts::{Facts, Shape};

/// The canonical text of a quantity. Common forms (a few digits, perhaps `m`) are recognised without arithmetic.
pub(super) fn quantity(text: &str) -> Result<String, QuantityError> {
    Quantity::parse(text).map(|q| q.to_string())
}

pub(super) fn time(text: String) -> Result<String, String> {
    match object::time::canonical_seconds(&text) {
        Some(std::borrow::Cow::Borrowed(_)) => Ok(text),
        Some(std::borrow::Cow::Owned(canonical)) => Ok(canonical),
        None => Err(time_problem(&text, "2006-01-02T15:04:05Z07:00")),
    }
}

pub(super) fn micro_time(text: &str) -> Result<String, String> {
    object::time::canonical_micros(text).ok_or_else(|| time_problem(text, "2006-01-02T15:04:05.000000Z07:00"))
}

/// Base64 is kept as it is but for line breaks, which decoding ignores.
pub(super) fn bytes(mut text: String) -> Result<String, String> {
    if text.contains(['\r', '\n']) {
        text.retain(|c| !matches!(c, '\r' | '\n'));
    }
    match STANDARD.decode(&text) {
        Ok(_) => Ok(text),
        Err(base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _)) => {
            Err(format!("illegal base64 data at input byte {at}"))
        }
        Err(_) => Err(format!("illegal base64 data at input byte {}", text.len())),
    }
}

/// A float as Go prints it: whole numbers have no point.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn float(value: f64, number: Number) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { number.into() }
}

/// The Go type that messages name.
pub(super) fn go_type(facts: &Facts, shape: &Shape) -> String {
    match shape {
        Shape::String => "string".into(),
        Shape::Bytes => "[]uint8".into(),
        Shape::Bool => "bool".into(),
        Shape::Int32 => "int32".into(),
        Shape::Int64 => "int64".into(),
        Shape::Float => "float64".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::IntOrString => "intstr.IntOrString".into(),
        Shape::Time => "v1.Time".into(),
        Shape::MicroTime => "v1.MicroTime".into(),
        Shape::Any => "interface {}".into(),
        Shape::Object(id) | Shape::ObjectOr(id, _) => {
            let name = &facts.get(*id).name;
            name.split_once('.').map_or(&**name, |(_, rest)| rest).to_owned()
        }
        Shape::List(item) => format!("[]{}", go_type(facts, item)),
        Shape::Map(value) => format!("map[string]{}", go_type(facts, value)),
    }
}

fn time_problem(text: &str, layout: &str) -> String {
    let quoted = object::field::quote(text);
    format!("parsing time {quoted} as {layout:?}: cannot parse {quoted} as \"2006\"")
}
