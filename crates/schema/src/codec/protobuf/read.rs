//! Reading: what each field of a message says becomes a member of a JSON object.
//!
//! Texts, numbers and booleans that are empty, and that JSON leaves out then, are left out at once; normalising does the
//! rest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::wire::{Message, Wire, varint};
use super::{MAGIC, ProtobufError};
use crate::codec::{Format, MAX_DEPTH, parse};
use crate::facts::{Facts, Field, Or, Presence, Shape, Type, TypeFacts};

/// Reads an object of a type, with `apiVersion` and `kind` as the envelope names them.
pub(in crate::codec) fn read(ty: &Type, bytes: &[u8]) -> Result<Value, ProtobufError> {
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
    for name in ["kind", "apiVersion"].into_iter().filter(|name| ty.get().field(name).is_some()) {
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
    let mut hint = 0;
    for field in Message(bytes) {
        let (number, wire) = field?;
        if let Some(position) = find(ty, outer, number, hint) {
            hint = position;
            put(facts, &ty.fields[position], wire, depth, object)?;
        } else if let (Some(deeper), Wire::Bytes(bytes)) = (deeper(ty, outer, number), wire) {
            inlined(facts, ty, bytes, deeper, depth + 1, object)?;
        }
    }
    Ok(())
}

/// The position of a field, looked for from `hint` on: fields mostly come in order.
fn find(ty: &TypeFacts, outer: [u16; 2], number: u64, hint: usize) -> Option<usize> {
    let is_it = |f: &Field| u64::from(f.number.own) == number && f.number.outer == outer && number != 0;
    let (before, after) = ty.fields.split_at(hint);
    after.iter().position(is_it).map(|at| hint + at).or_else(|| before.iter().position(is_it))
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
        Shape::List(_) if field.wrapped => {
            object.insert(field.name.to_string(), value(facts, &field.shape, wire, number, depth)?);
            Ok(())
        }
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
            if field.presence == Presence::OmitEmpty && is_empty(&value) {
                object.shift_remove(&*field.name);
            } else {
                object.insert(field.name.to_string(), value);
            }
            Ok(())
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(v) => !v,
        Value::Number(v) => v.as_f64() == Some(0.0),
        Value::String(v) => v.is_empty(),
        _ => false,
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
        (Shape::ObjectOr(id, or), Wire::Bytes(bytes)) => object_or(facts, facts.get(*id), *or, bytes, depth + 1),
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

/// An object of the type, or something simpler: a boolean beside it, or a list of objects or texts.
fn object_or(facts: &Facts, ty: &TypeFacts, or: Or, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let object = |bytes| {
        let mut object = Map::new();
        message(facts, ty, bytes, depth, &mut object).map(|()| Value::Object(object))
    };
    let (mut single, mut several) = (Value::Null, Vec::new());
    for field in Message(bytes) {
        match (or, field?) {
            (Or::Bool, (1, Wire::Number(allows))) if single.is_null() => single = (allows != 0).into(),
            (Or::Bool, (2, Wire::Bytes(bytes))) => single = object(bytes)?,
            (Or::List | Or::Texts, (1, Wire::Bytes(bytes))) => single = object(bytes)?,
            (Or::List, (2, Wire::Bytes(bytes))) => several.push(object(bytes)?),
            (Or::Texts, (2, Wire::Bytes(bytes))) => several.push(string(bytes)?),
            _ => {}
        }
    }
    Ok(if several.is_empty() { single } else { several.into() })
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
            return parse(json, Format::Json).map_err(|_| ProtobufError::Raw);
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
