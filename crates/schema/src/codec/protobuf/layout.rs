//! What the message of a type looks like: its fields by number, and what stands there for those that are absent.
//!
//! Go writes every field that is no pointer, list or map, also when it is empty. That is most of the fields of a sparse
//! object; their bytes never change, so they are made once.

use std::ops::Range;

use super::wire::{BYTES, DOUBLE, VARINT, put_key, put_varint};
use crate::facts::{Facts, Field, Presence, Shape, TypeFacts};

/// One step of writing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Field,
    /// A struct that Go inlines begins: a message in the field with this number.
    Open(u16),
    Close,
}

/// The steps of writing a type's message, in the order of field numbers.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(super) steps: Box<[Step]>,
    /// The step of each field, by its position; none for what the message does not have.
    of_field: Box<[Option<u16>]>,
    /// No struct is inlined: steps only append.
    pub(super) flat: bool,
    /// What each step writes for an absent field, one after the other, and where each begins.
    blanks: Box<[u8]>,
    offsets: Box<[u32]>,
}

impl Layout {
    pub(crate) fn of(facts: &Facts, ty: &TypeFacts) -> Self {
        let mut fields: Vec<(Vec<u16>, usize)> =
            ty.fields.iter().enumerate().filter(|(_, f)| f.number.own != 0).map(|(i, f)| (path(f), i)).collect();
        fields.sort();
        let mut layout = Making { open: Vec::new(), steps: Vec::new(), blanks: Vec::new(), offsets: vec![0] };
        let mut of_field = vec![None; ty.fields.len()];
        for (path, position) in fields {
            layout.descend(&path[..path.len() - 1]);
            of_field[position] = u16::try_from(layout.steps.len()).ok();
            put_blank(&mut layout.blanks, facts, &ty.fields[position]);
            layout.push(Step::Field);
        }
        layout.descend(&[]);
        Self {
            flat: layout.steps.iter().all(|step| *step == Step::Field),
            steps: layout.steps.into(),
            of_field: of_field.into(),
            blanks: layout.blanks.into(),
            offsets: layout.offsets.into(),
        }
    }

    /// The step that writes a field.
    pub(super) fn step(&self, field: usize) -> Option<usize> {
        self.of_field[field].map(usize::from)
    }

    /// What a run of steps writes when all its fields are absent.
    pub(super) fn blank(&self, steps: Range<usize>) -> &[u8] {
        &self.blanks[self.offsets[steps.start] as usize..self.offsets[steps.end] as usize]
    }
}

/// The numbers that lead to a field: those of the structs that Go inlines around it, then its own.
fn path(field: &Field) -> Vec<u16> {
    field.number.outer.iter().copied().filter(|n| *n != 0).chain([field.number.own]).collect()
}

struct Making {
    open: Vec<u16>,
    steps: Vec<Step>,
    blanks: Vec<u8>,
    offsets: Vec<u32>,
}

impl Making {
    fn push(&mut self, step: Step) {
        self.steps.push(step);
        self.offsets.push(u32::try_from(self.blanks.len()).unwrap_or(u32::MAX));
    }

    /// Closes and opens inlined structs until exactly those at `path` are open.
    fn descend(&mut self, path: &[u16]) {
        let shared = self.open.iter().zip(path).take_while(|(a, b)| a == b).count();
        while self.open.len() > shared {
            self.open.pop();
            self.push(Step::Close);
        }
        for number in &path[shared..] {
            self.open.push(*number);
            self.push(Step::Open(*number));
        }
    }
}

/// What is written for a field that is absent: nothing, or its zero.
fn put_blank(bytes: &mut Vec<u8>, facts: &Facts, field: &Field) {
    if matches!(field.presence, Presence::OmitEmpty | Presence::Always | Presence::OmitZero) {
        put_zero(bytes, facts, field.number.own, &field.shape);
    }
}

/// The zero value of a field that is no pointer.
pub(super) fn put_zero(bytes: &mut Vec<u8>, facts: &Facts, number: u16, shape: &Shape) {
    let message = match shape {
        Shape::Bool | Shape::Int32 | Shape::Int64 => {
            put_key(bytes, number, VARINT);
            return bytes.push(0);
        }
        Shape::Float => {
            put_key(bytes, number, DOUBLE);
            return bytes.extend_from_slice(&[0; 8]);
        }
        Shape::Bytes | Shape::List(_) | Shape::Map(_) | Shape::ObjectOr(..) => return,
        Shape::String | Shape::Time | Shape::MicroTime | Shape::Any => Vec::new(),
        Shape::Quantity => vec![0x0a, 1, b'0'],
        Shape::IntOrString => vec![0x08, 0, 0x10, 0, 0x1a, 0],
        Shape::Object(id) => super::write::blank(facts.layout(*id)),
    };
    put_key(bytes, number, BYTES);
    put_varint(bytes, message.len() as u64);
    bytes.extend_from_slice(&message);
}
