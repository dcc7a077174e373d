//! Tables, chains, sets and their elements.

use std::time::Duration;

use crate::wire::Writer;

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    Ipv4,
    Ipv6,
    /// Both.
    Inet,
}

impl Family {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ipv4 => 2,
            Self::Ipv6 => 10,
        }
    }
}

/// A table: the unit that one owner creates, changes and deletes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Table {
    pub family: Family,
    pub name: String,
}

impl Table {
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let family = match self.family {
            Family::Inet => "inet",
            Family::Ipv4 => "ip",
            Family::Ipv6 => "ip6",
        };
        write!(f, "{family} {}", self.name)
    }
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Filter,
    Nat,
}

/// Where in a packet's way a base chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

/// What happens to packets that no rule of a base chain decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Drop,
    Accept,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseChain {
    pub(crate) kind: Kind,
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
    pub(crate) policy: Policy,
}

/// A list of rules: entered from a hook, or from other chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub(crate) name: String,
    pub(crate) base: Option<BaseChain>,
}

impl Chain {
    /// A chain that packets enter at `hook`; lower priorities come first, −100 is where destinations are translated and
    /// 100 where sources are.
    pub fn base(name: impl Into<String>, kind: Kind, hook: Hook, priority: i32, policy: Policy) -> Self {
        Self { name: name.into(), base: Some(BaseChain { kind, hook, priority, policy }) }
    }

    /// A chain that packets enter by a verdict.
    pub fn plain(name: impl Into<String>) -> Self {
        Self { name: name.into(), base: None }
    }
}

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Accept,
    Drop,
    Continue,
    Return,
    /// Continues in a chain and does not come back.
    Goto(String),
    /// Continues in a chain and comes back at its end.
    Jump(String),
}

impl Verdict {
    fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Continue => -1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
        }
    }
}

/// Data of an element or an immediate: bytes in the order that the register holds them, or a verdict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Bytes(Vec<u8>),
    Verdict(Verdict),
}

impl Value {
    pub(crate) fn encode(&self, kind: u16, writer: &mut Writer) {
        const VALUE: u16 = 1;
        const VERDICT: u16 = 2;
        const CODE: u16 = 1;
        const CHAIN: u16 = 2;
        writer.nested(kind, |writer| match self {
            Self::Bytes(bytes) => writer.bytes(VALUE, bytes),
            Self::Verdict(verdict) => writer.nested(VERDICT, |writer| {
                writer.bytes(CODE, &verdict.code().to_be_bytes());
                if let Verdict::Goto(chain) | Verdict::Jump(chain) = verdict {
                    writer.text(CHAIN, chain);
                }
            }),
        });
    }
}

/// One field of a set's key or data. In concatenations every field starts at a multiple of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    Ipv4,
    Ipv6,
    /// Transport protocol number.
    Protocol,
    /// Transport port, network order.
    Port,
    /// 32 bits, host order.
    Mark,
    LinkName,
}

impl DataType {
    /// The number by which the `nft` program shows it; the kernel only stores it.
    fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mark => 19,
            Self::LinkName => 41,
        }
    }

    fn bytes(self) -> u32 {
        match self {
            Self::Ipv4 | Self::Mark => 4,
            Self::Ipv6 | Self::LinkName => 16,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// Bits of one type in the number of a concatenation.
const TYPE_BITS: u32 = 6;

pub(crate) fn type_number(fields: &[DataType]) -> u32 {
    fields.iter().fold(0, |number, field| number << TYPE_BITS | field.number())
}

pub(crate) fn type_bytes(fields: &[DataType]) -> u32 {
    match fields {
        [one] => one.bytes(),
        many => many.iter().map(|field| field.bytes().next_multiple_of(4)).sum(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MapData {
    Nothing,
    Fields(Vec<DataType>),
    Verdict,
}

/// A named set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub(crate) name: String,
    pub(crate) key: Vec<DataType>,
    pub(crate) data: MapData,
    pub(crate) dynamic: Option<Dynamic>,
}

/// A set that packets change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dynamic {
    pub(crate) max: u32,
    pub(crate) timeout: Duration,
}

impl Set {
    pub fn new(name: impl Into<String>, key: &[DataType]) -> Self {
        Self { name: name.into(), key: key.to_vec(), data: MapData::Nothing, dynamic: None }
    }

    pub fn map(name: impl Into<String>, key: &[DataType], data: &[DataType]) -> Self {
        Self { name: name.into(), key: key.to_vec(), data: MapData::Fields(data.to_vec()), dynamic: None }
    }

    pub fn verdict_map(name: impl Into<String>, key: &[DataType]) -> Self {
        Self { name: name.into(), key: key.to_vec(), data: MapData::Verdict, dynamic: None }
    }

    /// Packets add elements, at most `max`, each living for `timeout` unless its rule says otherwise.
    #[must_use]
    pub fn dynamic(mut self, max: u32, timeout: Duration) -> Self {
        self.dynamic = Some(Dynamic { max, timeout });
        self
    }
}

/// A member of a set or map. Keys and data are padded as [`DataType`] says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    pub key: Vec<u8>,
    pub data: Option<Value>,
}

impl Element {
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), data: None }
    }

    pub fn with_data(key: impl Into<Vec<u8>>, data: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), data: Some(Value::Bytes(data.into())) }
    }

    pub fn with_verdict(key: impl Into<Vec<u8>>, verdict: Verdict) -> Self {
        Self { key: key.into(), data: Some(Value::Verdict(verdict)) }
    }
}
