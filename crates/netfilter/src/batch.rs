//! Changes that the kernel applies together or not at all.

use crate::object::{
    BaseChain, Chain, Element, Family, Hook, Kind, MapData, Policy, Set, Table, Value, type_bytes, type_number,
};
use crate::rule::Rule;
use crate::wire::{MAX_ATTRIBUTE, Writer};

/// The subsystem number of nftables in message types.
pub(crate) const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// Message types of nftables.
pub(crate) mod kind {
    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DELETE_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const DELETE_CHAIN: u16 = 5;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const DELETE_RULE: u16 = 8;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const DELETE_SET: u16 = 11;
    pub(crate) const NEW_ELEMENT: u16 = 12;
    pub(crate) const DELETE_ELEMENT: u16 = 14;
}

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;
const APPEND: u16 = 0x800;

/// Flags of a set.
const MAP: u32 = 0x8;
const TIMEOUT: u32 = 0x10;
const EVALUATE: u32 = 0x20;

/// Room that one more element may take in a list: key, verdict with the longest chain name, and headers.
const ELEMENT_ROOM: usize = 512;

/// A transaction under construction. Order counts: an object must be created before it is referred to, and let go
/// before it is deleted; deleting and adding the same element in this order replaces it.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    writer: Writer,
    /// Where each message starts.
    starts: Vec<usize>,
}

impl Batch {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// How many changes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Creates a table; one that exists is kept.
    pub fn add_table(&mut self, table: &Table) {
        self.message(kind::NEW_TABLE, CREATE, table.family, |writer| writer.text(1, &table.name));
    }

    /// Deletes a table with everything in it; one that does not exist is fine.
    pub fn remove_table(&mut self, table: &Table) {
        self.add_table(table);
        self.message(kind::DELETE_TABLE, 0, table.family, |writer| writer.text(1, &table.name));
    }

    /// Empties a table that may exist: the batch then builds it from nothing, and packets never see it unfinished.
    pub fn renew_table(&mut self, table: &Table) {
        self.remove_table(table);
        self.add_table(table);
    }

    /// Creates a chain; one that exists is kept with its rules.
    pub fn add_chain(&mut self, table: &Table, chain: &Chain) {
        self.message(kind::NEW_CHAIN, CREATE, table.family, |writer| {
            writer.text(1, &table.name);
            writer.text(3, &chain.name);
            if let Some(base) = &chain.base {
                encode_base(base, writer);
            }
        });
    }

    /// Deletes a chain that has no rules and that nothing refers to.
    pub fn delete_chain(&mut self, table: &Table, chain: &str) {
        self.message(kind::DELETE_CHAIN, 0, table.family, |writer| {
            writer.text(1, &table.name);
            writer.text(3, chain);
        });
    }

    /// Appends a rule to a chain.
    pub fn add_rule(&mut self, table: &Table, chain: &str, rule: &Rule) {
        self.message(kind::NEW_RULE, CREATE | APPEND, table.family, |writer| {
            writer.text(1, &table.name);
            writer.text(2, chain);
            writer.nested(4, |writer| rule.expressions.iter().for_each(|expression| expression.encode(writer)));
        });
    }

    /// Deletes all rules of a chain.
    pub fn flush_chain(&mut self, table: &Table, chain: &str) {
        self.message(kind::DELETE_RULE, 0, table.family, |writer| {
            writer.text(1, &table.name);
            writer.text(2, chain);
        });
    }

    /// Creates a set or map; one that exists must be alike and is kept with its elements.
    pub fn add_set(&mut self, table: &Table, set: &Set) {
        let id = u32::try_from(self.starts.len() + 1).unwrap_or(u32::MAX);
        self.message(kind::NEW_SET, CREATE, table.family, |writer| encode_set(table, set, id, writer));
    }

    /// Deletes a set or map that no rule refers to, with its elements.
    pub fn delete_set(&mut self, table: &Table, set: &str) {
        self.message(kind::DELETE_SET, 0, table.family, |writer| {
            writer.text(1, &table.name);
            writer.text(2, set);
        });
    }

    /// Adds elements; one whose key exists is refused, with or without the same data.
    pub fn add_elements<'a>(&mut self, table: &Table, set: &str, elements: impl IntoIterator<Item = &'a Element>) {
        self.elements(kind::NEW_ELEMENT, CREATE | EXCLUSIVE, table, set, elements);
    }

    /// Deletes elements; one that does not exist is refused.
    pub fn delete_elements<'a>(&mut self, table: &Table, set: &str, elements: impl IntoIterator<Item = &'a Element>) {
        self.elements(kind::DELETE_ELEMENT, 0, table, set, elements);
    }

    /// Deletes all elements.
    pub fn flush_set(&mut self, table: &Table, set: &str) {
        self.message(kind::DELETE_ELEMENT, 0, table.family, |writer| {
            writer.text(1, &table.name);
            writer.text(2, set);
        });
    }

    /// The bytes for the kernel: sequence numbers count the changes from 1, and the last change asks for an answer.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut writer = Writer { bytes: Vec::with_capacity(self.writer.bytes.len() + 64) };
        let subsystem = [0, 0, 0, 10];
        writer.message(BATCH_BEGIN, REQUEST, 0, subsystem, |_| ());
        let begin = writer.bytes.len();
        writer.bytes.extend_from_slice(&self.writer.bytes);
        if let Some(last) = self.starts.last() {
            writer.bytes[begin + last + 6] |= ACK.to_ne_bytes()[0];
            writer.bytes[begin + last + 7] |= ACK.to_ne_bytes()[1];
        }
        let end = u32::try_from(self.starts.len() + 1).unwrap_or(u32::MAX);
        writer.message(BATCH_END, REQUEST, end, subsystem, |_| ());
        writer.bytes
    }

    /// The bytes of the change with this sequence number.
    pub(crate) fn change(&self, sequence: u32) -> Option<&[u8]> {
        let start = *self.starts.get((sequence as usize).checked_sub(1)?)?;
        self.writer.bytes.get(start..)
    }

    fn elements<'a>(
        &mut self,
        change: u16,
        flags: u16,
        table: &Table,
        set: &str,
        elements: impl IntoIterator<Item = &'a Element>,
    ) {
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            self.message(change, flags, table.family, |writer| {
                writer.text(1, &table.name);
                writer.text(2, set);
                writer.nested(3, |writer| {
                    let start = writer.bytes.len();
                    while writer.bytes.len() - start + ELEMENT_ROOM < MAX_ATTRIBUTE {
                        let Some(element) = elements.next() else { break };
                        encode_element(element, change == kind::NEW_ELEMENT, writer);
                    }
                });
            });
        }
    }

    fn message(&mut self, kind: u16, flags: u16, family: Family, content: impl FnOnce(&mut Writer)) {
        self.starts.push(self.writer.bytes.len());
        let sequence = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        self.writer.message(SUBSYSTEM | kind, REQUEST | flags, sequence, [family.number(), 0, 0, 0], content);
    }
}

/// Asks for one table, outside of any transaction.
pub(crate) fn look_up(table: &Table) -> Vec<u8> {
    let mut writer = Writer::default();
    let start = [table.family.number(), 0, 0, 0];
    writer.message(SUBSYSTEM | kind::GET_TABLE, REQUEST | ACK, 1, start, |writer| writer.text(1, &table.name));
    writer.bytes
}

fn encode_base(base: &BaseChain, writer: &mut Writer) {
    let hook = match base.hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    };
    writer.nested(4, |writer| {
        writer.number(1, hook);
        writer.bytes(2, &base.priority.to_be_bytes());
    });
    writer.number(5, u32::from(base.policy == Policy::Accept));
    writer.text(7, if base.kind == Kind::Nat { "nat" } else { "filter" });
}

fn encode_set(table: &Table, set: &Set, id: u32, writer: &mut Writer) {
    const VERDICT: u32 = 0xffff_ff00;
    let map = if set.data == MapData::Nothing { 0 } else { MAP };
    let dynamic = if set.dynamic.is_some() { TIMEOUT | EVALUATE } else { 0 };
    writer.text(1, &table.name);
    writer.text(2, &set.name);
    writer.number(3, map | dynamic);
    writer.number(4, type_number(&set.key));
    writer.number(5, type_bytes(&set.key));
    match &set.data {
        MapData::Nothing => {}
        MapData::Fields(fields) => {
            writer.number(6, type_number(fields));
            writer.number(7, type_bytes(fields));
        }
        MapData::Verdict => writer.number(6, VERDICT),
    }
    writer.number(10, id);
    if let Some(dynamic) = &set.dynamic {
        writer.nested(9, |writer| writer.number(1, dynamic.max));
        let milliseconds = u64::try_from(dynamic.timeout.as_millis()).unwrap_or(u64::MAX);
        writer.bytes(11, &milliseconds.to_be_bytes());
    }
}

fn encode_element(element: &Element, with_data: bool, writer: &mut Writer) {
    const LIST_ITEM: u16 = 1;
    writer.nested(LIST_ITEM, |writer| {
        writer.nested(1, |writer| writer.bytes(1, &element.key));
        if let (Some(data), true) = (&element.data, with_data) {
            encode_data(data, writer);
        }
    });
}

fn encode_data(data: &Value, writer: &mut Writer) {
    data.encode(2, writer);
}
