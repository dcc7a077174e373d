//! Reading: what each field of a message says becomes a member of a normalised object, in one pass.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::wire::{Message, Wire, varint};
use super::{MAGIC, ProtobufError};
use crate::codec::engine::finish_object;
use crate::codec::{Format, MAX_DEPTH, parse, scalar};
use crate::facts::{Facts, Field, Or, Shape, Type, TypeFacts};

type Result<T> = std::result::Result<T, ProtobufError>;

/// Reads an object of a type, with `apiVersion` and `kind` as the envelope names them.
pub(in crate::codec) fn read(ty: &Type, bytes: &[u8]) -> Result<Value> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut fields, mut raw) = (Fields::default(), &[][..]);
    for field in Message(envelope) {
        match field? {
            (1, Wire::Bytes(names)) => type_meta(ty.get(), names, &mut fields)?,
            (2, Wire::Bytes(object)) => raw = object,
            _ => {}
        }
    }
    let reader = Reader { facts: ty.facts() };
    reader.fields(ty.get(), raw, [0, 0], 0, &mut fields)?;
    Ok(fields.finish(ty.facts(), ty.get()))
}

fn type_meta(ty: &TypeFacts, bytes: &[u8], fields: &mut Fields) -> Result<()> {
    for field in Message(bytes) {
        let (name, text) = match field? {
            (1, Wire::Bytes(text)) => ("apiVersion", text),
            (2, Wire::Bytes(text)) => ("kind", text),
            _ => continue,
        };
        if let Some(position) = ty.position(name, 0) {
            *fields.at(position) = string(text)?;
        }
    }
    Ok(())
}

/// What has been found of an object, by the position of the field; each field once.
#[derive(Default)]
struct Fields(Vec<(usize, Value)>);

impl Fields {
    /// The place of a field: null when it has not been found before.
    fn at(&mut self, position: usize) -> &mut Value {
        let later = self.0.last().is_none_or(|(last, _)| *last < position);
        let found = if later { None } else { self.0.iter().position(|(found, _)| *found == position) };
        let index = found.unwrap_or(self.0.len());
        if index == self.0.len() {
            self.0.push((position, Value::Null));
        }
        &mut self.0[index].1
    }

    fn finish(mut self, facts: &Facts, ty: &TypeFacts) -> Value {
        if !self.0.is_sorted_by_key(|(position, _)| *position) {
            self.0.sort_by_key(|(position, _)| *position);
        }
        Value::Object(finish_object(facts, ty, self.0, Vec::new()))
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    facts: &'a Facts,
}

impl Reader<'_> {
    fn object(self, ty: &TypeFacts, bytes: &[u8], depth: usize) -> Result<Value> {
        let mut fields = Fields(Vec::with_capacity(8));
        self.fields(ty, bytes, [0, 0], depth, &mut fields)?;
        Ok(fields.finish(self.facts, ty))
    }

    /// Reads the fields of a message whose own fields stand below `outer`: structs that Go inlines are messages here.
    fn fields(self, ty: &TypeFacts, bytes: &[u8], outer: [u16; 2], depth: usize, fields: &mut Fields) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(ProtobufError::TooDeep);
        }
        let mut hint = 0;
        for field in Message(bytes) {
            let (number, wire) = field?;
            if let Some(position) = find(ty, outer, number, hint) {
                hint = position;
                self.put(&ty.fields[position], wire, depth, fields.at(position))?;
            } else if let (Some(deeper), Wire::Bytes(bytes)) = (deeper(ty, outer, number), wire) {
                self.fields(ty, bytes, deeper, depth + 1, fields)?;
            }
        }
        Ok(())
    }

    /// Takes what one field on the wire says: all of it, or one entry of it.
    fn put(self, field: &Field, wire: Wire<'_>, depth: usize, place: &mut Value) -> Result<()> {
        let number = u64::from(field.number.own);
        match &field.shape {
            Shape::List(item) if !field.wrapped => {
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let Value::Array(list) = place else { return Err(ProtobufError::Wire(number)) };
                self.items(item, wire, number, depth, list)
            }
            Shape::Map(value) => {
                let (key, value) = self.entry(value, wire, number, depth)?;
                if place.is_null() {
                    *place = Value::Object(Map::new());
                }
                let Value::Object(map) = place else { return Err(ProtobufError::Wire(number)) };
                map.insert(key, value);
                Ok(())
            }
            shape => {
                *place = self.value(shape, wire, number, depth)?;
                Ok(())
            }
        }
    }

    /// One item of a list, or several packed numbers.
    fn items(self, item: &Shape, wire: Wire<'_>, number: u64, depth: usize, list: &mut Vec<Value>) -> Result<()> {
        match (item, wire) {
            (Shape::Int32 | Shape::Int64 | Shape::Bool, Wire::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    let one = varint(&mut packed)?;
                    list.push(self.value(item, Wire::Number(one), number, depth)?);
                }
            }
            (item, wire) => list.push(self.value(item, wire, number, depth)?),
        }
        Ok(())
    }

    fn entry(self, shape: &Shape, wire: Wire<'_>, number: u64, depth: usize) -> Result<(String, Value)> {
        let Wire::Bytes(bytes) = wire else { return Err(ProtobufError::Wire(number)) };
        let (mut key, mut found) = (String::new(), None);
        for field in Message(bytes) {
            match field? {
                (1, Wire::Bytes(text)) => text_of(text)?.clone_into(&mut key),
                (2, wire) => found = Some(self.value(shape, wire, number, depth)?),
                _ => {}
            }
        }
        let value = found.map_or_else(|| self.value(shape, Wire::Bytes(&[]), number, depth), Ok)?;
        Ok((key, value))
    }

    fn value(self, shape: &Shape, wire: Wire<'_>, number: u64, depth: usize) -> Result<Value> {
        match (shape, wire) {
            (Shape::String, Wire::Bytes(text)) => string(text),
            (Shape::Bytes, Wire::Bytes(bytes)) => Ok(STANDARD.encode(bytes).into()),
            (Shape::Bool, Wire::Number(n)) => Ok((n != 0).into()),
            (Shape::Int32, Wire::Number(n)) => Ok(i64::from(low_half(n)).into()),
            (Shape::Int64, Wire::Number(n)) => Ok(n.cast_signed().into()),
            (Shape::Float, Wire::Double(n)) => Ok(Number::from_f64(n).map_or(Value::Null, |n64| scalar::float(n, n64))),
            (Shape::Quantity, Wire::Bytes(bytes)) => quantity(bytes),
            (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes),
            (Shape::Time, Wire::Bytes(bytes)) => time(bytes, object::time::seconds),
            (Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes, object::time::micros),
            (Shape::Any, Wire::Bytes(bytes)) => raw(bytes),
            (Shape::Object(id), Wire::Bytes(bytes)) => self.object(self.facts.get(*id), bytes, depth + 1),
            (Shape::ObjectOr(id, or), Wire::Bytes(bytes)) => self.object_or(self.facts.get(*id), *or, bytes, depth + 1),
            // A list as a map's value is a message with the items in its first field.
            (Shape::List(item), Wire::Bytes(bytes)) => self.list(item, bytes, depth + 1),
            _ => Err(ProtobufError::Wire(number)),
        }
    }

    fn list(self, item: &Shape, bytes: &[u8], depth: usize) -> Result<Value> {
        let mut all = Vec::new();
        for field in Message(bytes) {
            if let (1, wire) = field? {
                self.items(item, wire, 1, depth, &mut all)?;
            }
        }
        Ok(Value::Array(all))
    }

    /// An object of the type, or something simpler: a boolean beside it, or a list of objects or texts.
    fn object_or(self, ty: &TypeFacts, or: Or, bytes: &[u8], depth: usize) -> Result<Value> {
        let object = |bytes| self.object(ty, bytes, depth);
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

fn quantity(bytes: &[u8]) -> Result<Value> {
    for field in Message(bytes) {
        if let (1, Wire::Bytes(text)) = field? {
            let text = text_of(text)?;
            return Ok(scalar::quantity(text).map_err(|error| ProtobufError::Quantity(error.to_string()))?.into());
        }
    }
    Ok("0".into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value> {
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
fn time(bytes: &[u8], print: fn(Timestamp) -> String) -> Result<Value> {
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
    Timestamp::new(seconds, nanos).map(|time| print(time).into()).map_err(|_| ProtobufError::Wire(1))
}

/// JSON that travels as it is.
fn raw(bytes: &[u8]) -> Result<Value> {
    for field in Message(bytes) {
        if let (1, Wire::Bytes(json)) = field? {
            return parse(json, Format::Json).map_err(|_| ProtobufError::Raw);
        }
    }
    Ok(Value::Null)
}

fn string(bytes: &[u8]) -> Result<Value> {
    text_of(bytes).map(Value::from)
}

fn text_of(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| ProtobufError::Utf8)
}

/// A 32-bit number: negative ones are extended to 64 bits on the wire.
fn low_half(n: u64) -> i32 {
    ((n & u64::from(u32::MAX)) as u32).cast_signed()
}
