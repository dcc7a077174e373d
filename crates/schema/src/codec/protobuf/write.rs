//! Writing: a deserializer seed that carries the facts of the place where it is, and appends to the message.
//!
//! Fields mostly come in the order of their numbers. Where they do not, or where Go inlines a struct, a message is put
//! in order when its last field has been read.

use std::fmt;
use std::ops::Range;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::MAGIC;
use super::layout::{Layout, Step, put_zero};
use super::wire::{BYTES, DOUBLE, VARINT, put_key, put_varint, varint_length};
use crate::codec::engine::{Found, Key};
use crate::facts::{Facts, Or, Shape, Type, TypeId};

/// An object that is to be written.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    Json(&'a [u8]),
    Value(&'a Value),
}

/// Why an object cannot be written as a message of its type.
#[derive(Debug, Error)]
#[error("write the object as protobuf")]
pub struct EncodeError(#[from] serde_json::Error);

/// Writes messages. One that is used again keeps its memory.
#[derive(Debug, Default)]
pub struct Writer {
    pub(super) bytes: Vec<u8>,
    /// The fields of the messages that are open, in the order in which they were read.
    spans: Vec<Span>,
    scratch: Vec<u8>,
}

/// Where a field's bytes are.
#[derive(Debug)]
struct Span {
    step: usize,
    bytes: Range<usize>,
}

impl Source<'_> {
    /// About how many bytes the message takes.
    pub(super) fn size_hint(&self) -> usize {
        match self {
            Self::Json(text) => text.len() + 64,
            Self::Value(_) => 1024,
        }
    }
}

impl Writer {
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Appends a field that holds an object.
    ///
    /// # Errors
    /// When the source is no object of the type.
    pub fn field(&mut self, number: u16, ty: &Type, source: Source<'_>) -> Result<(), EncodeError> {
        let start = self.open(number);
        self.message(ty, source)?;
        self.close(start);
        Ok(())
    }

    /// Appends a bare message.
    ///
    /// # Errors
    /// When the source is no object of the type.
    pub fn message(&mut self, ty: &Type, source: Source<'_>) -> Result<(), EncodeError> {
        let (facts, place) = (ty.facts(), Place::Root(ty.id()));
        let put = Put { facts, place, number: 0, boxed: false, writer: self };
        match source {
            Source::Json(text) => put.deserialize(&mut serde_json::Deserializer::from_slice(text))?,
            Source::Value(value) => put.deserialize(value)?,
        };
        Ok(())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has been written since the last time.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Begins an envelope: the magic, and the type's name.
    pub(super) fn begin(&mut self, api_version: &str, kind: &str) {
        self.bytes.extend_from_slice(MAGIC);
        let start = self.open(1);
        self.text(1, api_version);
        self.text(2, kind);
        self.close(start);
    }

    pub(super) fn key(&mut self, number: u16, wire: u8) {
        put_key(&mut self.bytes, number, wire);
    }

    pub(super) fn text(&mut self, number: u16, text: &str) {
        self.key(number, BYTES);
        put_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: u16, value: i64) {
        self.key(number, VARINT);
        put_varint(&mut self.bytes, value.cast_unsigned());
    }

    /// Begins a field with a length that is not known yet; most lengths take one byte.
    pub(super) fn open(&mut self, number: u16) -> usize {
        self.key(number, BYTES);
        self.bytes.push(0);
        self.bytes.len()
    }

    /// Ends what begins at `start`; tells by how many bytes it has moved.
    pub(super) fn close(&mut self, start: usize) -> usize {
        let end = self.bytes.len();
        let extra = varint_length(end - start) - 1;
        if extra > 0 {
            self.bytes.resize(end + extra, 0);
            self.bytes.copy_within(start..end, start + extra);
        }
        let mut length = end - start;
        for byte in &mut self.bytes[start - 1..start + extra] {
            *byte = (length & 0x7f) as u8 | 0x80;
            length >>= 7;
        }
        self.bytes[start + extra - 1] &= 0x7f;
        extra
    }

    /// Puts the fields that were read since `start` in the order of the layout, the absent ones among them.
    fn arrange(&mut self, layout: &Layout, start: usize, first: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(&self.bytes[start..]);
        self.bytes.truncate(start);
        self.spans[first..].sort_by_key(|span| span.step);
        let (mut at, mut open) = (first, Vec::new());
        for (step, what) in layout.steps.iter().enumerate() {
            match what {
                Step::Open(number) => open.push(self.open(*number)),
                Step::Close => {
                    if let Some(start) = open.pop() {
                        self.close(start);
                    }
                }
                Step::Field => {
                    let begin = at;
                    while self.spans.get(at).is_some_and(|span| span.step == step) {
                        at += 1;
                    }
                    // Of a field that came twice the last one counts.
                    let bytes = match self.spans[begin..at].last() {
                        Some(Span { bytes, .. }) => &scratch[bytes.start - start..bytes.end - start],
                        None => layout.blank(step..step + 1),
                    };
                    self.bytes.extend_from_slice(bytes);
                }
            }
        }
        self.scratch = scratch;
    }

    /// Sorts the entries of a map, which stand from the first one's start to the end, by their keys.
    fn sort(&mut self, mut entries: Vec<MapEntry>) {
        let Some(start) = entries.first().map(|entry| entry.bytes.start) else { return };
        let sorted = entries.is_sorted_by(|a, b| self.bytes[a.key.clone()] <= self.bytes[b.key.clone()]);
        if sorted {
            return;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.bytes[start..]);
        let (bytes, scratch) = (&mut self.bytes, &self.scratch);
        let at = |range: &Range<usize>| range.start - start..range.end - start;
        entries.sort_by(|a, b| scratch[at(&a.key)].cmp(&scratch[at(&b.key)]));
        bytes.truncate(start);
        entries.iter().for_each(|entry| bytes.extend_from_slice(&scratch[at(&entry.bytes)]));
    }
}

/// The message of an object of which every field is absent.
pub(super) fn blank(layout: &Layout) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.arrange(layout, 0, 0);
    writer.take()
}

struct MapEntry {
    key: Range<usize>,
    bytes: Range<usize>,
}

/// Writes the value of a field; tells whether there was one.
struct Put<'a> {
    facts: &'a Facts,
    place: Place<'a>,
    number: u16,
    /// A list is a message of its own, with the items in its first field.
    boxed: bool,
    writer: &'a mut Writer,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    /// A message without key and length.
    Root(TypeId),
    Shape(&'a Shape),
    /// An object of the type, or a text.
    Item(TypeId),
}

impl<'a> Put<'a> {
    fn shape(&self) -> Option<&'a Shape> {
        match self.place {
            Place::Shape(shape) => Some(shape),
            Place::Root(_) | Place::Item(_) => None,
        }
    }

    fn mismatch<E: serde::de::Error>(&self, found: &str) -> E {
        E::custom(format_args!("field {}: unexpected {found}", self.number))
    }

    /// A message of the field in question.
    fn within(&mut self, write: impl FnOnce(&mut Writer)) {
        let start = self.writer.open(self.number);
        write(self.writer);
        self.writer.close(start);
    }

    fn integer<E: serde::de::Error>(&mut self, value: i64) -> Result<bool, E> {
        match self.shape() {
            Some(Shape::Int32 | Shape::Int64) => self.writer.number(self.number, value),
            Some(Shape::Float) => return self.float(value as f64),
            Some(Shape::IntOrString) => self.within(|writer| {
                writer.number(1, 0);
                writer.number(2, value);
                writer.text(3, "");
            }),
            _ => return Err(self.mismatch("number")),
        }
        Ok(true)
    }

    fn float<E: serde::de::Error>(&mut self, value: f64) -> Result<bool, E> {
        if !matches!(self.shape(), Some(Shape::Float)) {
            return Err(self.mismatch("number"));
        }
        self.writer.key(self.number, DOUBLE);
        self.writer.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(true)
    }

    fn time<E: serde::de::Error>(&mut self, text: &str, digits: i32) -> Result<bool, E> {
        let time = object::time::parse(text).ok_or_else(|| self.mismatch::<E>("time"))?;
        // Timestamps before the epoch have negative nanoseconds, protobuf's count up from the second before.
        let nanos = time.subsec_nanosecond();
        let (seconds, nanos) =
            if nanos < 0 { (time.as_second() - 1, nanos + 1_000_000_000) } else { (time.as_second(), nanos) };
        self.within(|writer| {
            writer.number(1, seconds);
            writer.number(2, i64::from(nanos / digits * digits));
        });
        Ok(true)
    }

    fn base64<E: serde::de::Error>(&mut self, text: &str) -> Result<bool, E> {
        let start = self.writer.open(self.number);
        STANDARD.decode_vec(text, &mut self.writer.bytes).map_err(E::custom)?;
        self.writer.close(start);
        Ok(true)
    }

    /// JSON that travels as it is.
    fn raw<'de, D: Deserializer<'de>>(mut self, deserializer: D) -> Result<bool, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get() == "null" {
            return Ok(false);
        }
        self.within(|writer| writer.text(1, raw.get()));
        Ok(true)
    }

    /// The fields of an object, without key and length.
    fn object<'de, A: MapAccess<'de>>(&mut self, id: TypeId, mut map: A) -> Result<(), A::Error> {
        let (facts, ty, layout) = (self.facts, self.facts.get(id), self.facts.layout(id));
        let (start, first) = (self.writer.bytes.len(), self.writer.spans.len());
        // The next step, for as long as fields come in order.
        let mut next = layout.flat.then_some(0);
        let mut hint = 0;
        while let Some(key) = map.next_key_seed(Key { ty, hint })? {
            let known = match key {
                Found::Field(position) => {
                    hint = position + 1;
                    layout.step(position).map(|step| (step, &ty.fields[position]))
                }
                Found::Unknown(_) => None,
            };
            let Some((step, field)) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            next = next.filter(|next| *next <= step);
            if let Some(next) = &mut next {
                self.writer.bytes.extend_from_slice(layout.blank(*next..step));
                *next = step;
            }
            let from = self.writer.bytes.len();
            let place = Place::Shape(&field.shape);
            let put = Put { facts, place, number: field.number.own, boxed: field.wrapped, writer: self.writer };
            if map.next_value_seed(put)? {
                self.writer.spans.push(Span { step, bytes: from..self.writer.bytes.len() });
                next = next.map(|_| step + 1);
            }
        }
        match next {
            Some(next) => self.writer.bytes.extend_from_slice(layout.blank(next..layout.steps.len())),
            None => self.writer.arrange(layout, start, first),
        }
        self.writer.spans.truncate(first);
        Ok(())
    }

    fn entries<'de, A: MapAccess<'de>>(&mut self, shape: &Shape, mut map: A) -> Result<(), A::Error> {
        let mut entries = Vec::new();
        loop {
            let from = self.writer.bytes.len();
            let start = self.writer.open(self.number);
            let Some(length) = map.next_key_seed(EntryKey(self.writer))? else {
                self.writer.bytes.truncate(from);
                break;
            };
            let key = self.writer.bytes.len();
            let put =
                Put { facts: self.facts, place: Place::Shape(shape), number: 2, boxed: true, writer: self.writer };
            match (map.next_value_seed(put)?, shape) {
                (true, _) => {}
                (false, Shape::List(_)) => self.writer.text(2, ""),
                (false, _) => put_zero(&mut self.writer.bytes, self.facts, 2, shape),
            }
            let key = key + self.writer.close(start);
            entries.push(MapEntry { key: key - length..key, bytes: from..self.writer.bytes.len() });
        }
        self.writer.sort(entries);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Put<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if matches!(self.place, Place::Shape(Shape::Any)) {
            return self.raw(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Put<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the field's type")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        match self.place {
            Place::Root(_) => Err(E::custom("null is no object")),
            _ => Ok(false),
        }
    }

    fn visit_bool<E: serde::de::Error>(mut self, v: bool) -> Result<bool, E> {
        match self.shape() {
            Some(Shape::Bool) => self.writer.number(self.number, v.into()),
            Some(Shape::ObjectOr(_, Or::Bool)) => self.within(|writer| writer.number(1, v.into())),
            _ => return Err(self.mismatch("boolean")),
        }
        Ok(true)
    }

    fn visit_i64<E: serde::de::Error>(mut self, v: i64) -> Result<bool, E> {
        self.integer(v)
    }

    fn visit_u64<E: serde::de::Error>(mut self, v: u64) -> Result<bool, E> {
        self.integer(i64::try_from(v).map_err(E::custom)?)
    }

    fn visit_f64<E: serde::de::Error>(mut self, v: f64) -> Result<bool, E> {
        self.float(v)
    }

    fn visit_str<E: serde::de::Error>(mut self, v: &str) -> Result<bool, E> {
        match (self.place, self.shape()) {
            (Place::Item(_), _) | (_, Some(Shape::String)) => self.writer.text(self.number, v),
            (_, Some(Shape::Bytes)) => return self.base64(v),
            (_, Some(Shape::Quantity)) => self.within(|writer| writer.text(1, v)),
            (_, Some(Shape::IntOrString)) => self.within(|writer| {
                writer.number(1, 1);
                writer.number(2, 0);
                writer.text(3, v);
            }),
            (_, Some(Shape::Time)) => return self.time(v, 1_000_000_000),
            (_, Some(Shape::MicroTime)) => return self.time(v, 1_000),
            _ => return Err(self.mismatch("text")),
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let (place, number, boxed) = match self.place {
            Place::Shape(Shape::List(item)) => (Place::Shape(item), 1, self.boxed),
            Place::Shape(Shape::ObjectOr(id, Or::List | Or::Texts)) => (Place::Item(*id), 2, true),
            _ => return Err(self.mismatch("list")),
        };
        let start = boxed.then(|| self.writer.open(self.number));
        let number = if boxed { number } else { self.number };
        while let Some(written) =
            seq.next_element_seed(Put { facts: self.facts, place, number, boxed: true, writer: self.writer })?
        {
            if let (false, Place::Shape(shape)) = (written, place) {
                put_zero(&mut self.writer.bytes, self.facts, number, shape);
            }
        }
        if let Some(start) = start {
            self.writer.close(start);
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<bool, A::Error> {
        let (id, or) = match self.place {
            Place::Root(id) => return self.object(id, map).map(|()| true),
            Place::Shape(Shape::Map(value)) => return self.entries(value, map).map(|()| true),
            Place::Shape(Shape::Object(id)) => (*id, None),
            Place::Item(id) => (id, None),
            Place::Shape(Shape::ObjectOr(id, or)) => (*id, Some(*or)),
            Place::Shape(_) => return Err(self.mismatch("object")),
        };
        let start = self.writer.open(self.number);
        match or {
            None => self.object(id, map)?,
            Some(or) => {
                if or == Or::Bool {
                    self.writer.number(1, 1);
                }
                let inner = self.writer.open(if or == Or::Bool { 2 } else { 1 });
                self.object(id, map)?;
                self.writer.close(inner);
            }
        }
        self.writer.close(start);
        Ok(true)
    }
}

/// Writes a map's key into its entry; tells how long it is.
struct EntryKey<'a>(&'a mut Writer);

impl<'de> DeserializeSeed<'de> for EntryKey<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for EntryKey<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<usize, E> {
        self.0.text(1, v);
        Ok(v.len())
    }
}
