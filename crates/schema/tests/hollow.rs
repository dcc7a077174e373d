//! Hollow objects in protobuf, byte for byte as Go writes them: they show what is written although it is empty, which
//! full objects cannot.
//!
//! In a hollow object every pointer, list and map is there with one entry of its zero value, as deep as no type stands
//! inside itself. Left out are times, bytes and free JSON, whose zero is nothing.

use std::fmt::Write as _;

use schema::codec::protobuf::{Source, Writer};
use schema::facts::{Presence, TypeId};
use schema::{Facts, Shape, Type};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

#[test]
fn as_go_writes_them() {
    let mut count = 0;
    for line in include_str!("hollow.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, expected) = line.split_once(' ').expect("a type and its digest");
        let ty = Type::builtin(name).unwrap_or_else(|| panic!("{name} is not known"));
        let object = hollow(ty.facts(), ty.id(), &mut Vec::new()).expect("an object");
        let mut writer = Writer::default();
        writer.message(&ty, Source::Value(&object)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut digest = String::new();
        Sha256::digest(writer.take()).iter().for_each(|byte| write!(digest, "{byte:02x}").expect("a text"));
        assert_eq!(digest, expected, "{name}: {object}");
        count += 1;
    }
    assert!(count > 100, "only {count} types");
}

/// None inside of itself.
fn hollow(facts: &Facts, id: TypeId, path: &mut Vec<TypeId>) -> Option<Value> {
    if path.contains(&id) {
        return None;
    }
    path.push(id);
    let mut object = Map::new();
    for field in facts.get(id).fields.iter().filter(|field| field.number.own != 0) {
        let pointer = matches!(field.presence, Presence::OmitNull | Presence::AlwaysNull);
        let value = match &field.shape {
            Shape::Object(_) | Shape::List(_) | Shape::Map(_) => entry(facts, &field.shape, path),
            shape if pointer => entry(facts, shape, path),
            _ => None,
        };
        object.extend(value.map(|value| (field.name.to_string(), value)));
    }
    path.pop();
    Some(Value::Object(object))
}

fn entry(facts: &Facts, shape: &Shape, path: &mut Vec<TypeId>) -> Option<Value> {
    Some(match shape {
        Shape::String => "".into(),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Float | Shape::IntOrString => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Object(id) => return hollow(facts, *id, path),
        Shape::List(item) if **item != Shape::Quantity => json!([entry(facts, item, path)?]),
        Shape::Map(value) => json!({ "k": entry(facts, value, path)? }),
        Shape::List(_) | Shape::Bytes | Shape::Time | Shape::MicroTime | Shape::Any | Shape::ObjectOr(..) => {
            return None;
        }
    })
}
