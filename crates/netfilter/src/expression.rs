//! The instructions that rules are made of.

use std::time::Duration;

use crate::object::{Value, Verdict};
use crate::wire::Writer;

/// One of the sixteen 32-bit registers; wider data fills the following ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

impl Register {
    fn number(self) -> u32 {
        const FIRST: u32 = 8;
        FIRST + u32::from(self.0 % 16)
    }
}

/// Facts about a packet that are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetaKey {
    Mark,
    InputName,
    OutputName,
    Family,
    Protocol,
}

impl MetaKey {
    fn number(self) -> u32 {
        match self {
            Self::Mark => 3,
            Self::InputName => 6,
            Self::OutputName => 7,
            Self::Family => 15,
            Self::Protocol => 16,
        }
    }
}

/// Facts about a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CtKey {
    State,
    Status,
    Mark,
    /// IPv4 destination before translation.
    OriginalDestination,
    /// Port of the destination before translation.
    OriginalDestinationPort,
}

impl CtKey {
    fn number(self) -> u32 {
        match self {
            Self::State => 0,
            Self::Status => 2,
            Self::Mark => 3,
            Self::OriginalDestination => 20,
            Self::OriginalDestinationPort => 12,
        }
    }

    fn original(self) -> bool {
        matches!(self, Self::OriginalDestination | Self::OriginalDestinationPort)
    }
}

/// Where a payload offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    Network,
    Transport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DynsetOp {
    Add,
    Update,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NatKind {
    Source,
    Destination,
}

/// How a packet is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// ICMP port unreachable.
    Ipv4Port,
    /// ICMPv6 port unreachable.
    Ipv6Port,
    /// Port unreachable of whatever family, in tables of both.
    InetPort,
    TcpReset,
}

/// What a route lookup is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FibResult {
    /// Type of the source address: 2 is local.
    SourceType,
    /// Type of the destination address: 2 is local.
    DestinationType,
}

/// One instruction. Registers are overwritten from `into` on; instructions that decide something break off the rule
/// when it does not match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expression {
    Meta {
        key: MetaKey,
        into: Register,
    },
    SetMeta {
        key: MetaKey,
        from: Register,
    },
    Ct {
        key: CtKey,
        into: Register,
    },
    Payload {
        base: Base,
        offset: u32,
        length: u32,
        into: Register,
    },
    Immediate {
        value: Value,
        into: Register,
    },
    Verdict(Verdict),
    Equal {
        from: Register,
        bytes: Vec<u8>,
        negated: bool,
    },
    Bitwise {
        from: Register,
        into: Register,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    /// With `into`, a map's data is loaded there; a verdict map's verdict takes effect instead.
    Lookup {
        set: String,
        from: Register,
        into: Option<Register>,
        negated: bool,
    },
    LookupVerdict {
        map: String,
        from: Register,
    },
    /// A random number in `0..modulus`.
    Random {
        modulus: u32,
        into: Register,
    },
    /// A hash of `length` bytes in `0..modulus`.
    Hash {
        from: Register,
        length: u32,
        modulus: u32,
        seed: u32,
        into: Register,
    },
    Dynset {
        set: String,
        op: DynsetOp,
        key: Register,
        data: Option<Register>,
        timeout: Option<Duration>,
    },
    Nat {
        kind: NatKind,
        ipv6: bool,
        address: Register,
        port: Option<Register>,
    },
    Masquerade,
    Reject(Reject),
    Fib {
        result: FibResult,
        into: Register,
    },
    Counter,
}

impl Expression {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        const LIST_ITEM: u16 = 1;
        writer.nested(LIST_ITEM, |writer| {
            writer.text(1, self.name());
            writer.nested(2, |writer| self.encode_data(writer));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } | Self::SetMeta { .. } => "meta",
            Self::Ct { .. } => "ct",
            Self::Payload { .. } => "payload",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Equal { .. } => "cmp",
            Self::Bitwise { .. } => "bitwise",
            Self::Lookup { .. } | Self::LookupVerdict { .. } => "lookup",
            Self::Random { .. } => "numgen",
            Self::Hash { .. } => "hash",
            Self::Dynset { .. } => "dynset",
            Self::Nat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Reject(_) => "reject",
            Self::Fib { .. } => "fib",
            Self::Counter => "counter",
        }
    }

    fn encode_data(&self, writer: &mut Writer) {
        match self {
            Self::Meta { key, into } => numbers(writer, &[(2, key.number()), (1, into.number())]),
            Self::SetMeta { key, from } => numbers(writer, &[(2, key.number()), (3, from.number())]),
            Self::Ct { key, into } => {
                numbers(writer, &[(2, key.number()), (1, into.number())]);
                if key.original() {
                    writer.bytes(3, &[0]);
                }
            }
            Self::Payload { base, offset, length, into } => {
                let base = if *base == Base::Network { 1 } else { 2 };
                numbers(writer, &[(1, into.number()), (2, base), (3, *offset), (4, *length)]);
            }
            Self::Immediate { value, into } => {
                writer.number(1, into.number());
                value.encode(2, writer);
            }
            Self::Verdict(verdict) => {
                writer.number(1, 0);
                Value::Verdict(verdict.clone()).encode(2, writer);
            }
            Self::Equal { from, bytes, negated } => {
                numbers(writer, &[(1, from.number()), (2, u32::from(*negated))]);
                writer.nested(3, |writer| writer.bytes(1, bytes));
            }
            Self::Bitwise { from, into, mask, xor } => {
                let length = u32::try_from(mask.len()).unwrap_or(0);
                numbers(writer, &[(1, from.number()), (2, into.number()), (3, length)]);
                writer.nested(4, |writer| writer.bytes(1, mask));
                writer.nested(5, |writer| writer.bytes(1, xor));
            }
            Self::Masquerade | Self::Reject(_) | Self::Nat { .. } => self.encode_action(writer),
            Self::Counter => {}
            _ => self.encode_choice(writer),
        }
    }

    fn encode_choice(&self, writer: &mut Writer) {
        match self {
            Self::Lookup { set, from, into, negated } => {
                writer.text(1, set);
                writer.number(2, from.number());
                if let Some(into) = into {
                    writer.number(3, into.number());
                }
                writer.number(5, u32::from(*negated));
            }
            Self::LookupVerdict { map, from } => {
                writer.text(1, map);
                numbers(writer, &[(2, from.number()), (3, 0), (5, 0)]);
            }
            Self::Random { modulus, into } => numbers(writer, &[(1, into.number()), (2, *modulus), (3, 1), (4, 0)]),
            Self::Hash { from, length, modulus, seed, into } => {
                let (from, into) = (from.number(), into.number());
                numbers(writer, &[(1, from), (2, into), (3, *length), (4, *modulus), (5, *seed), (7, 0)]);
            }
            Self::Dynset { set, op, key, data, timeout } => {
                writer.text(1, set);
                numbers(writer, &[(3, *op as u32), (4, key.number())]);
                if let Some(data) = data {
                    writer.number(5, data.number());
                }
                if let Some(timeout) = timeout {
                    let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                    writer.bytes(6, &milliseconds.to_be_bytes());
                }
            }
            Self::Fib { result, into } => {
                const ADDRESS_TYPE: u32 = 3;
                let flags = if *result == FibResult::SourceType { 1 } else { 2 };
                numbers(writer, &[(1, into.number()), (2, ADDRESS_TYPE), (3, flags)]);
            }
            _ => {}
        }
    }

    fn encode_action(&self, writer: &mut Writer) {
        match self {
            Self::Nat { kind, ipv6, address, port } => {
                let kind = u32::from(*kind == NatKind::Destination);
                numbers(writer, &[(1, kind), (2, if *ipv6 { 10 } else { 2 }), (3, address.number())]);
                if let Some(port) = port {
                    writer.number(5, port.number());
                }
            }
            Self::Masquerade => {
                /// Source ports are chosen fully at random: two CPUs then do not race for the same one.
                const RANDOM_FULLY: u32 = 16;
                writer.number(1, RANDOM_FULLY);
            }
            Self::Reject(how) => {
                let (kind, code) = match how {
                    Reject::Ipv4Port => (0, 3),
                    Reject::Ipv6Port => (0, 4),
                    Reject::InetPort => (2, 1),
                    Reject::TcpReset => (1, 0),
                };
                writer.number(1, kind);
                writer.bytes(2, &[code]);
            }
            _ => {}
        }
    }
}

fn numbers(writer: &mut Writer, values: &[(u16, u32)]) {
    for (kind, value) in values {
        writer.number(*kind, *value);
    }
}
