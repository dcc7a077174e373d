//! Reads the protobuf form of built-in objects into JSON values, guided by the facts.
//!
//! The bytes are a magic, then `runtime.Unknown`: the type's name, and the object's own message. What the reader makes
//! has every field that the message has, also empty ones; normalising it afterwards leaves out what JSON leaves out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};
use thiserror::Error;

use super::MAX_DEPTH;
use crate::facts::{Facts, Field, Shape, Type, TypeFacts};

/// What every protobuf object begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why bytes are no protobuf object.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProtobufError {
    #[error("the bytes do not begin as a protobuf object does")]
    Magic,
    #[error("the message ends in the middle of a field")]
    Truncated,
    #[error("field {0} is encoded in a way that its type does not have")]
    Wire(u64),
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("a raw value is not JSON")]
    Raw,
    #[error("exceeded max depth")]
    TooDeep,
}

/// One field of a message as it is on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
struct Message<'a>(&'a [u8]);

/// Reads an object of a type, with `apiVersion` and `kind` as the envelope names them.
pub(super) fn read(ty: &Type, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut head, mut raw) = (Map::new(), &[][..]);
    for field in Message(envelope) {
        match field? {
            (1, Wire::Bytes(names)) => head = type_meta(names)?,
            (2, Wire::Bytes(object)) => raw = object,
            _ => {}
        }
    }
    let mut object = Map::new();
    for name in ["kind", "apiVersion"] {
        object.extend(head.remove_entry(name));
    }
    message(ty.facts(), ty.get(), raw, 0, &mut object)?;
    Ok(Value::Object(object))
}

fn type_meta(bytes: &[u8]) -> Result<Map<String, Value>, ProtobufError> {
    let mut names = Map::new();
    for field in Message(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => names.insert("apiVersion".to_owned(), string(text)?),
            (2, Wire::Bytes(text)) => names.insert("kind".to_owned(), string(text)?),
            _ => None,
        };
    }
    Ok(names)
}

fn message(
    facts: &Facts,
    ty: &TypeFacts,
    bytes: &[u8],
    depth: usize,
    object: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    inlined(facts, ty, bytes, [0, 0], depth, object)
}

/// Reads the fields of a message whose own fields stand below `outer`: structs that Go inlines are messages here.
fn inlined(
    facts: &Facts,
    ty: &TypeFacts,
    bytes: &[u8],
    outer: [u16; 2],
    depth: usize,
    object: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::TooDeep);
    }
    for field in Message(bytes) {
        let (number, wire) = field?;
        if let Some(field) = ty.fields.iter().find(|f| f.number.outer == outer && u64::from(f.number.own) == number) {
            put(facts, field, wire, depth, object)?;
        } else if let (Some(deeper), Wire::Bytes(bytes)) = (deeper(ty, outer, number), wire) {
            inlined(facts, ty, bytes, deeper, depth + 1, object)?;
        }
    }
    Ok(())
}

/// Where the fields of message field `number` stand, if that field is a struct that Go inlines.
fn deeper(ty: &TypeFacts, outer: [u16; 2], number: u64) -> Option<[u16; 2]> {
    let number = u16::try_from(number).ok()?;
    let below = match outer {
        [0, 0] => [number, 0],
        [first, 0] => [first, number],
        _ => return None,
    };
    let inside = |f: &Field| f.number.outer == below || (below[1] == 0 && f.number.outer[0] == below[0]);
    ty.fields.iter().any(inside).then_some(below)
}

fn put(
    facts: &Facts,
    field: &Field,
    wire: Wire<'_>,
    depth: usize,
    object: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    let number = u64::from(field.number.own);
    match &field.shape {
        Shape::List(item) => {
            let list = object.entry(&*field.name).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(list) = list else { return Err(ProtobufError::Wire(number)) };
            items(facts, item, wire, number, depth, list)
        }
        Shape::Map(value) => {
            let (key, value) = entry(facts, value, wire, number, depth)?;
            let map = object.entry(&*field.name).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(map) = map else { return Err(ProtobufError::Wire(number)) };
            map.insert(key, value);
            Ok(())
        }
        shape => {
            let value = value(facts, shape, wire, number, depth)?;
            object.insert(field.name.to_string(), value);
            Ok(())
        }
    }
}

/// One item of a list, or several packed numbers.
fn items(
    facts: &Facts,
    item: &Shape,
    wire: Wire<'_>,
    number: u64,
    depth: usize,
    list: &mut Vec<Value>,
) -> Result<(), ProtobufError> {
    match (item, wire) {
        (Shape::Int32 | Shape::Int64 | Shape::Bool, Wire::Bytes(mut packed)) => {
            while !packed.is_empty() {
                let one = varint(&mut packed)?;
                list.push(value(facts, item, Wire::Number(one), number, depth)?);
            }
        }
        (item, wire) => list.push(value(facts, item, wire, number, depth)?),
    }
    Ok(())
}

fn entry(
    facts: &Facts,
    shape: &Shape,
    wire: Wire<'_>,
    number: u64,
    depth: usize,
) -> Result<(String, Value), ProtobufError> {
    let Wire::Bytes(bytes) = wire else { return Err(ProtobufError::Wire(number)) };
    let (mut key, mut found) = (String::new(), None);
    for field in Message(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => text_of(text)?.clone_into(&mut key),
            (2, wire) => found = Some(value(facts, shape, wire, number, depth)?),
            _ => {}
        }
    }
    let value = found.map_or_else(|| value(facts, shape, Wire::Bytes(&[]), number, depth), Ok)?;
    Ok((key, value))
}

fn value(facts: &Facts, shape: &Shape, wire: Wire<'_>, number: u64, depth: usize) -> Result<Value, ProtobufError> {
    match (shape, wire) {
        (Shape::String, Wire::Bytes(text)) => string(text),
        (Shape::Bytes, Wire::Bytes(bytes)) => Ok(STANDARD.encode(bytes).into()),
        (Shape::Bool, Wire::Number(n)) => Ok((n != 0).into()),
        (Shape::Int32, Wire::Number(n)) => Ok(i64::from(low_half(n)).into()),
        (Shape::Int64, Wire::Number(n)) => Ok(n.cast_signed().into()),
        (Shape::Float, Wire::Double(n)) => Ok(n.into()),
        (Shape::Quantity, Wire::Bytes(bytes)) => quantity(bytes),
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes),
        (Shape::Time | Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes),
        (Shape::Any, Wire::Bytes(bytes)) => raw(bytes),
        (Shape::Object(id), Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            message(facts, facts.get(*id), bytes, depth + 1, &mut object)?;
            Ok(Value::Object(object))
        }
        (Shape::ObjectOr(id), Wire::Bytes(bytes)) => object_or(facts, facts.get(*id), bytes, depth + 1),
        // A list as a map's value is a message with the items in its first field.
        (Shape::List(item), Wire::Bytes(bytes)) => list(facts, item, bytes, depth + 1),
        _ => Err(ProtobufError::Wire(number)),
    }
}

fn list(facts: &Facts, item: &Shape, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let mut all = Vec::new();
    for field in Message(bytes) {
        if let (1, wire) = field? {
            items(facts, item, wire, 1, depth, &mut all)?;
        }
    }
    Ok(Value::Array(all))
}

/// An object of the type, or something simpler: a boolean in the first field, or lists of objects or texts in the second.
fn object_or(facts: &Facts, ty: &TypeFacts, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let object = |bytes| {
        let mut object = Map::new();
        message(facts, ty, bytes, depth, &mut object).map(|()| Value::Object(object))
    };
    let (mut single, mut several) = (Value::Null, Vec::new());
    for field in Message(bytes) {
        match field? {
            (1, Wire::Number(allows)) => single = (allows != 0).into(),
            (1, Wire::Bytes(bytes)) => single = object(bytes)?,
            (2, Wire::Bytes(bytes)) => several.push(object(bytes)?),
            _ => {}
        }
    }
    Ok(match (single, several.len()) {
        (single, 0) => single,
        (Value::Bool(_), 1) => several.remove(0),
        _ => Value::Array(several),
    })
}

fn quantity(bytes: &[u8]) -> Result<Value, ProtobufError> {
    for field in Message(bytes) {
        if let (1, Wire::Bytes(text)) = field? {
            return string(text);
        }
    }
    Ok("0".into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut number, mut text) = (false, 0, Value::from(""));
    for field in Message(bytes) {
        match field? {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(n)) => number = low_half(n),
            (3, Wire::Bytes(bytes)) => text = string(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { text } else { number.into() })
}

/// A time; the zero time is none.
fn time(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Message(bytes) {
        match field? {
            (1, Wire::Number(n)) => seconds = n.cast_signed(),
            (2, Wire::Number(n)) => nanos = low_half(n),
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Ok(Value::Null);
    }
    Timestamp::new(seconds, nanos).map(|time| time.to_string().into()).map_err(|_| ProtobufError::Wire(1))
}

/// JSON that travels as it is.
fn raw(bytes: &[u8]) -> Result<Value, ProtobufError> {
    for field in Message(bytes) {
        if let (1, Wire::Bytes(json)) = field? {
            return super::parse(json, super::Format::Json).map_err(|_| ProtobufError::Raw);
        }
    }
    Ok(Value::Null)
}

fn string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    text_of(bytes).map(Value::from)
}

fn text_of(bytes: &[u8]) -> Result<&str, ProtobufError> {
    std::str::from_utf8(bytes).map_err(|_| ProtobufError::Utf8)
}

/// A 32-bit number: negative ones are extended to 64 bits on the wire.
fn low_half(n: u64) -> i32 {
    ((n & u64::from(u32::MAX)) as u32).cast_signed()
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(ProtobufError::Truncated)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Truncated)
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Result<(u64, Wire<'a>), ProtobufError> {
        let key = varint(&mut self.0)?;
        let number = key >> 3;
        let wire = match key & 7 {
            0 => Wire::Number(varint(&mut self.0)?),
            1 => Wire::Double(f64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| ProtobufError::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(u32::from_le_bytes(self.fixed()?).into()),
            _ => return Err(ProtobufError::Wire(number)),
        };
        Ok((number, wire))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        self.take(N)?.try_into().map_err(|_| ProtobufError::Truncated)
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Wire<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
