//! The engine: a deserializer seed that carries the facts of the place where it is.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{DecodeError, Decoded, Issue, MAX_DEPTH, MAX_ISSUES, scalar};
use crate::facts::{Facts, Field, Presence, Shape, Type, TypeFacts, TypeId};

/// What is gathered along the way.
#[derive(Debug, Default)]
pub(super) struct State {
    issues: Vec<Issue>,
    /// The error in its own form: parsers would wrap it in theirs.
    error: Option<DecodeError>,
}

/// A step of the path from the root; frames live on the stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
    depth: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    /// A field, and the Go name of the struct that has it.
    Field(&'p str, &'p str),
    Key(&'p str),
    Index(usize),
}

/// A value about to be read.
pub(super) struct Seed<'a> {
    facts: &'a Facts,
    place: Place<'a>,
    frame: &'a Frame<'a>,
    state: &'a mut State,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Type(TypeId),
    Shape(&'a Shape),
}

static ANY: Shape = Shape::Any;

impl State {
    pub(super) fn finish(self, value: Result<Value, DecodeError>) -> Result<Decoded, DecodeError> {
        match (self.error, value) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(Value::Null)) => Err(DecodeError::Empty),
            (None, Ok(value)) => Ok(Decoded { value, issues: self.issues }),
        }
    }

    fn note(&mut self, issue: impl FnOnce() -> Issue) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(issue());
        }
    }
}

impl Frame<'_> {
    pub(super) const ROOT: Frame<'static> = Frame { parent: None, step: Step::Root, depth: 0 };

    fn below<'s>(&'s self, step: Step<'s>) -> Frame<'s> {
        Frame { parent: Some(self), step, depth: self.depth + 1 }
    }

    /// `spec.containers[0].name`; type errors leave the indexes out.
    fn path(&self, indexes: bool) -> String {
        let mut path = self.parent.map(|p| p.path(indexes)).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Field(name, _) | Step::Key(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Index(index) if indexes => path.push_str(&format!("[{index}]")),
            Step::Index(_) => {}
        }
        path
    }

    fn joined(&self, name: &str) -> String {
        self.below(Step::Key(name)).path(true)
    }

    /// The struct whose field leads here.
    fn owner(&self) -> Option<&str> {
        match self.step {
            Step::Field(_, owner) => Some(owner),
            _ => self.parent.and_then(|p| p.owner()),
        }
    }
}

impl<'a> Seed<'a> {
    pub(super) fn root(ty: &'a Type, frame: &'a Frame<'a>, state: &'a mut State) -> Self {
        Self { facts: ty.facts(), place: Place::Type(ty.id()), frame, state }
    }

    /// A value of which nothing is known.
    pub(super) fn any(frame: &'a Frame<'a>, state: &'a mut State) -> Self {
        static NO_FACTS: std::sync::LazyLock<Facts> = std::sync::LazyLock::new(Facts::default);
        Self { facts: &NO_FACTS, place: Place::Shape(&ANY), frame, state }
    }

    fn at<'b>(&'b mut self, shape: &'b Shape, frame: &'b Frame<'b>) -> Seed<'b> {
        Seed { facts: self.facts, place: Place::Shape(shape), frame, state: self.state }
    }

    fn shape(&self) -> Option<&'a Shape> {
        match self.place {
            Place::Type(_) => None,
            Place::Shape(shape) => Some(shape),
        }
    }

    fn fail<E: serde::de::Error>(&mut self, error: DecodeError) -> E {
        self.state.error.get_or_insert(error);
        E::custom("refused")
    }

    fn mismatch<E: serde::de::Error>(&mut self, found: impl Into<String>) -> E {
        let target = match self.frame.owner() {
            Some(owner) => format!("struct field {owner}.{}", self.frame.path(false)),
            None => "value".to_owned(),
        };
        let wanted = match self.place {
            Place::Type(id) => scalar::go_type(self.facts, &Shape::Object(id)),
            Place::Shape(shape) => scalar::go_type(self.facts, shape),
        };
        self.fail(DecodeError::Type { found: found.into(), target, wanted })
    }

    fn scalar<E: serde::de::Error>(&mut self, problem: String) -> E {
        let path = self.frame.path(true);
        self.fail(DecodeError::Scalar { path, problem })
    }

    fn integer<E: serde::de::Error>(&mut self, number: Number) -> Result<Value, E> {
        match self.shape() {
            Some(Shape::Int32 | Shape::IntOrString) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {
                Ok(number.into())
            }
            Some(Shape::Int64) if number.is_i64() => Ok(number.into()),
            Some(Shape::Int32 | Shape::Int64 | Shape::IntOrString) => Err(self.mismatch(format!("number {number}"))),
            Some(Shape::Quantity) => self.quantity(&number.to_string()),
            Some(Shape::Float | Shape::Any | Shape::ObjectOr(..)) => Ok(number.into()),
            _ => Err(self.mismatch("number")),
        }
    }

    fn quantity<E: serde::de::Error>(&mut self, text: &str) -> Result<Value, E> {
        match scalar::quantity(text) {
            Ok(canonical) => Ok(canonical.into()),
            Err(error) => Err(self.scalar(error.to_string())),
        }
    }

    fn text<E: serde::de::Error>(&mut self, text: String) -> Result<Value, E> {
        let canonical = match self.shape() {
            Some(Shape::String | Shape::Any | Shape::IntOrString | Shape::ObjectOr(..)) => return Ok(text.into()),
            Some(Shape::Quantity) => return self.quantity(text.trim()),
            Some(Shape::Time) => scalar::time(text),
            Some(Shape::MicroTime) => scalar::micro_time(&text),
            Some(Shape::Bytes) => scalar::bytes(text),
            _ => return Err(self.mismatch("string")),
        };
        canonical.map(Value::String).map_err(|problem| self.scalar(problem))
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, id: TypeId, mut map: A) -> Result<Value, A::Error> {
        let facts = self.facts;
        let ty = facts.get(id);
        let mut found: Vec<(usize, Value)> = Vec::with_capacity(map.size_hint().unwrap_or(8).min(64));
        let mut extra: Vec<(String, Value)> = Vec::new();
        // the position after the last field, and after the furthest one: below that a field may be a duplicate
        let (mut next, mut furthest) = (0, 0);
        while let Some(key) = map.next_key_seed(Key { ty, hint: next })? {
            match key {
                Found::Field(position) => {
                    let field = &ty.fields[position];
                    let frame = self.frame.below(Step::Field(&field.name, ty.go_name()));
                    let value = map.next_value_seed(self.at(&field.shape, &frame))?;
                    if position >= furthest {
                        found.push((position, value));
                    } else {
                        self.keep(&mut found, position, value, &field.name);
                    }
                    next = position + 1;
                    furthest = furthest.max(next);
                }
                Found::Unknown(name) if ty.open => {
                    let frame = self.frame.below(Step::Key(&name));
                    let value = map.next_value_seed(self.at(&ANY, &frame))?;
                    extra.push((name, value));
                }
                Found::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    self.state.note(|| Issue::UnknownField(self.frame.joined(&name)));
                }
            }
        }
        if !found.is_sorted_by_key(|(position, _)| *position) {
            found.sort_by_key(|(position, _)| *position);
        }
        Ok(Value::Object(finish_object(facts, ty, found, extra)))
    }

    /// Takes the value of a field that may have been there before; the last of several wins.
    fn keep(&mut self, found: &mut Vec<(usize, Value)>, position: usize, value: Value, name: &str) {
        match found.iter_mut().find(|(known, _)| *known == position) {
            Some((_, old)) => {
                *old = value;
                self.state.note(|| Issue::DuplicateField(self.frame.joined(name)));
            }
            None => found.push((position, value)),
        }
    }

    /// A map, or an object of which nothing is known.
    fn entries<'de, A: MapAccess<'de>>(&mut self, shape: &Shape, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::with_capacity(map.size_hint().unwrap_or(0).min(64));
        while let Some(key) = map.next_key::<String>()? {
            let frame = self.frame.below(Step::Key(&key));
            let mut value = map.next_value_seed(self.at(shape, &frame))?;
            if value.is_null() && *shape != Shape::Any {
                value = zero(self.facts, shape);
            }
            if entries.contains_key(&key) {
                self.state.note(|| Issue::DuplicateField(self.frame.joined(&key)));
            }
            entries.insert(key, value);
        }
        Ok(Value::Object(entries))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Value, D::Error> {
        if self.frame.depth > MAX_DEPTH {
            return Err(self.fail(DecodeError::TooDeep));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: serde::de::Error>(mut self, v: bool) -> Result<Value, E> {
        match self.shape() {
            Some(Shape::Bool | Shape::Any | Shape::ObjectOr(..)) => Ok(v.into()),
            _ => Err(self.mismatch("bool")),
        }
    }

    fn visit_i64<E: serde::de::Error>(mut self, v: i64) -> Result<Value, E> {
        self.integer(v.into())
    }

    fn visit_u64<E: serde::de::Error>(mut self, v: u64) -> Result<Value, E> {
        self.integer(v.into())
    }

    fn visit_f64<E: serde::de::Error>(mut self, v: f64) -> Result<Value, E> {
        let Some(number) = Number::from_f64(v) else { return Err(E::custom("number is not finite")) };
        match self.shape() {
            Some(Shape::Any | Shape::ObjectOr(..)) => Ok(number.into()),
            Some(Shape::Float) => Ok(scalar::float(v, number)),
            Some(Shape::Quantity) => self.quantity(&number.to_string()),
            Some(Shape::Int32 | Shape::Int64 | Shape::IntOrString) => Err(self.mismatch(format!("number {number}"))),
            _ => Err(self.mismatch("number")),
        }
    }

    fn visit_str<E: serde::de::Error>(mut self, v: &str) -> Result<Value, E> {
        self.text(v.to_owned())
    }

    fn visit_string<E: serde::de::Error>(mut self, v: String) -> Result<Value, E> {
        self.text(v)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let shape = match self.shape() {
            Some(Shape::List(item)) => item,
            Some(shape @ (Shape::Any | Shape::ObjectOr(..))) => shape,
            _ => return Err(self.mismatch("array")),
        };
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        loop {
            let frame = self.frame.below(Step::Index(items.len()));
            match seq.next_element_seed(self.at(shape, &frame))? {
                Some(Value::Null) if !matches!(shape, Shape::Any) => items.push(zero(self.facts, shape)),
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<Value, A::Error> {
        match self.place {
            Place::Type(id) => self.object(id, map),
            Place::Shape(Shape::Object(id) | Shape::ObjectOr(id, _)) => self.object(*id, map),
            Place::Shape(Shape::Map(value)) => self.entries(value, map),
            Place::Shape(Shape::Any) => self.entries(&ANY, map),
            Place::Shape(_) => Err(self.mismatch("object")),
        }
    }
}

/// A key, looked up while it is read so that known names are never copied.
pub(super) struct Key<'a> {
    pub(super) ty: &'a TypeFacts,
    pub(super) hint: usize,
}

pub(super) enum Found {
    Field(usize),
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Found, E> {
        Ok(self.ty.position(v, self.hint).map_or_else(|| Found::Unknown(v.to_owned()), Found::Field))
    }
}

/// Puts the fields in order, leaves out what is not printed and adds what always is. `found` is sorted by position.
pub(super) fn finish_object(
    facts: &Facts,
    ty: &TypeFacts,
    found: Vec<(usize, Value)>,
    extra: Vec<(String, Value)>,
) -> Map<String, Value> {
    let mut object = Map::with_capacity(found.len() + extra.len() + 2);
    let mut found = found.into_iter().peekable();
    for (position, field) in ty.fields.iter().enumerate() {
        let value = found.next_if(|(p, _)| *p == position).map(|(_, value)| value);
        if let Some(value) = printed(facts, field, value) {
            object.insert(field.name.as_ref().to_owned(), value);
        }
    }
    if !extra.is_empty() {
        object.extend(extra);
        object.sort_keys();
    }
    object
}

/// What is printed of a field, if anything.
fn printed(facts: &Facts, field: &Field, value: Option<Value>) -> Option<Value> {
    let value = value.filter(|v| !v.is_null());
    match (field.presence, value) {
        (Presence::OmitEmpty, Some(value)) if !is_empty(&value) => Some(value),
        (Presence::OmitNull, value) => value,
        (Presence::Always | Presence::AlwaysNull, Some(value)) => Some(value),
        (Presence::OmitZero, Some(value)) if value != zero(facts, &field.shape) => Some(value),
        (Presence::Always, None) => Some(zero(facts, &field.shape)),
        (Presence::AlwaysNull, None) => Some(Value::Null),
        (Presence::OmitEmpty | Presence::OmitZero, _) => None,
    }
}

/// The zero value as Go prints it.
fn zero(facts: &Facts, shape: &Shape) -> Value {
    match shape {
        Shape::String => "".into(),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Float | Shape::IntOrString => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Object(id) => finish_object(facts, facts.get(*id), Vec::new(), Vec::new()).into(),
        Shape::Bytes
        | Shape::Time
        | Shape::MicroTime
        | Shape::Any
        | Shape::ObjectOr(..)
        | Shape::List(_)
        | Shape::Map(_) => Value::Null,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(v) => !v,
        Value::Number(v) => v.as_f64() == Some(0.0),
        Value::String(v) => v.is_empty(),
        Value::Array(v) => v.is_empty(),
        Value::Object(v) => v.is_empty(),
    }
}
