//! Codecs: JSON, YAML and protobuf bytes to normalised objects and back.
//!
//! One engine ([`engine`]) walks the facts while the parser runs: types are checked, unknown and duplicate fields noted,
//! fields put in canonical order, empty ones left out, quantities and times made canonical, all in one pass. The same
//! engine takes a parsed `Value`, moving its strings and lists.

mod engine;
pub mod protobuf;
mod scalar;
mod yaml;

use std::fmt;

use serde::de::DeserializeSeed;
use serde_json::Value;
use thiserror::Error;

use crate::facts::Type;
use engine::{Frame, Seed, State};
pub(crate) use protobuf::Layout;
pub use protobuf::ProtobufError;

/// The text of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

/// A normalised object and what was wrong with it without making it unreadable.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub value: Value,
    /// In the order of the text; at most [`MAX_ISSUES`].
    pub issues: Vec<Issue>,
}

/// Something that `fieldValidation` may ignore, warn of, or refuse. Displayed as upstream words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue {
    UnknownField(String),
    DuplicateField(String),
}

/// Why bytes are no object of the type.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The JSON value has another type than the field.
    #[error("json: cannot unmarshal {found} into Go {target} of type {wanted}")]
    Type {
        /// `string`, `number`, `number 1.5`, `bool`, `array`, `object`
        found: String,
        /// `struct field DeploymentSpec.spec.replicas`, or `value` outside of any struct.
        target: String,
        /// `int32`, `v1.PodSpec`, `[]v1.Container`
        wanted: String,
    },
    /// A quantity, time or base64 text that is none.
    #[error("{problem}")]
    Scalar {
        /// The path of the field.
        path: String,
        problem: String,
    },
    #[error("exceeded max depth")]
    TooDeep,
    #[error("the object is empty")]
    Empty,
    #[error("parse protobuf: {0}")]
    Protobuf(#[from] ProtobufError),
    #[error("parse JSON")]
    Json(#[source] serde_json::Error),
    #[error("parse YAML")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    #[error("parse YAML: the text is not UTF-8")]
    Utf8(#[source] std::str::Utf8Error),
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField(path) => write!(f, "unknown field \"{path}\""),
            Self::DuplicateField(path) => write!(f, "duplicate field \"{path}\""),
        }
    }
}

/// Issues beyond this are dropped.
pub const MAX_ISSUES: usize = 256;
/// Deeper objects are refused.
pub const MAX_DEPTH: usize = 128;
/// Deeper YAML is refused: its parser takes more stack for each level.
pub const MAX_YAML_DEPTH: usize = 64;

/// Reads and normalises an object of a type.
///
/// # Errors
/// When the bytes do not parse, or a value has another type than its field.
pub fn decode(ty: &Type, bytes: &[u8], format: Format) -> Result<Decoded, DecodeError> {
    let mut state = State::default();
    let value = match format {
        Format::Json => {
            let mut parser = serde_json::Deserializer::from_slice(bytes);
            let result = Seed::root(ty, &Frame::ROOT, &mut state).deserialize(&mut parser);
            result.and_then(|value| parser.end().map(|()| value)).map_err(DecodeError::Json)
        }
        Format::Yaml => yaml::with_parser(bytes, |parser| Seed::root(ty, &Frame::ROOT, &mut state).deserialize(parser)),
    };
    state.finish(value)
}

/// Reads and normalises a built-in object of a type in its protobuf form: what typed clients send.
///
/// # Errors
/// When the bytes are no such message, or a value is none of its field.
pub fn decode_protobuf(ty: &Type, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    Ok(Decoded { value: protobuf::read(ty, bytes)?, issues: Vec::new() })
}

/// Normalises a parsed object.
///
/// # Errors
/// When a value has another type than its field.
pub fn normalise(ty: &Type, value: Value) -> Result<Decoded, DecodeError> {
    let mut state = State::default();
    let value = Seed::root(ty, &Frame::ROOT, &mut state).deserialize(value).map_err(DecodeError::Json);
    state.finish(value)
}

/// Reads bytes of no known type: what patches and peeking at `kind` need.
///
/// # Errors
/// When the bytes do not parse.
pub fn parse(bytes: &[u8], format: Format) -> Result<Value, DecodeError> {
    let mut state = State::default();
    let value = match format {
        Format::Json => {
            let mut parser = serde_json::Deserializer::from_slice(bytes);
            let result = Seed::any(&Frame::ROOT, &mut state).deserialize(&mut parser);
            result.and_then(|value| parser.end().map(|()| value)).map_err(DecodeError::Json)
        }
        Format::Yaml => yaml::with_parser(bytes, |parser| Seed::any(&Frame::ROOT, &mut state).deserialize(parser)),
    };
    state.finish(value).map(|decoded| decoded.value)
}

/// Writes an object. JSON has no spaces; YAML has its keys sorted, as upstream prints it.
#[must_use]
pub fn encode(value: &Value, format: Format) -> Vec<u8> {
    match format {
        Format::Json => serde_json::to_vec(value).expect("a Value always serialises"),
        Format::Yaml => yaml::write(value).into_bytes(),
    }
}

#[cfg(test)]
mod tests;
