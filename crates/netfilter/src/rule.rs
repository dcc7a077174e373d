//! Rules, built from left to right as `nft` writes them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::expression::{Base, CtKey, Expression, FibResult, MetaKey, Register, Reject};
use crate::object::Verdict;

/// Where conditions load what they compare.
const SCRATCH: Register = Register(15);
/// Where conditions load what takes up to four registers.
const WIDE: Register = Register(12);

/// A list of instructions: conditions first, then what happens to packets that meet them all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(crate) expressions: Vec<Expression>,
}

/// Which end of a packet.
#[derive(Debug, Clone, Copy)]
enum End {
    Source,
    Destination,
}

impl Rule {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends any instruction.
    #[must_use]
    pub fn expression(mut self, expression: Expression) -> Self {
        self.expressions.push(expression);
        self
    }

    #[must_use]
    pub fn verdict(self, verdict: Verdict) -> Self {
        self.expression(Expression::Verdict(verdict))
    }

    #[must_use]
    pub fn counter(self) -> Self {
        self.expression(Expression::Counter)
    }

    #[must_use]
    pub fn masquerade(self) -> Self {
        self.expression(Expression::Masquerade)
    }

    #[must_use]
    pub fn reject(self, how: Reject) -> Self {
        self.expression(Expression::Reject(how))
    }

    /// The source is in `net`; in tables of both families the packet is of the family of `net`.
    #[must_use]
    pub fn source_in(self, net: IpNet) -> Self {
        self.address(End::Source, net, false)
    }

    #[must_use]
    pub fn source_not_in(self, net: IpNet) -> Self {
        self.address(End::Source, net, true)
    }

    #[must_use]
    pub fn destination_in(self, net: IpNet) -> Self {
        self.address(End::Destination, net, false)
    }

    #[must_use]
    pub fn destination_not_in(self, net: IpNet) -> Self {
        self.address(End::Destination, net, true)
    }

    /// The packet is of the family of `address`: needed before addresses in tables of both families.
    #[must_use]
    pub fn family_of(self, address: IpAddr) -> Self {
        let family = if address.is_ipv4() { 2 } else { 10 };
        self.expression(Expression::Meta { key: MetaKey::Family, into: SCRATCH }).equal(SCRATCH, vec![family], false)
    }

    /// The packet came in through a link whose name starts with `prefix`.
    #[must_use]
    pub fn input_starts_with(self, prefix: &str) -> Self {
        self.link(MetaKey::InputName, prefix.as_bytes().to_vec(), false)
    }

    #[must_use]
    pub fn input_does_not_start_with(self, prefix: &str) -> Self {
        self.link(MetaKey::InputName, prefix.as_bytes().to_vec(), true)
    }

    #[must_use]
    pub fn input_is_not(self, name: &str) -> Self {
        self.link(MetaKey::InputName, padded(name), true)
    }

    #[must_use]
    pub fn output_starts_with(self, prefix: &str) -> Self {
        self.link(MetaKey::OutputName, prefix.as_bytes().to_vec(), false)
    }

    #[must_use]
    pub fn output_does_not_start_with(self, prefix: &str) -> Self {
        self.link(MetaKey::OutputName, prefix.as_bytes().to_vec(), true)
    }

    #[must_use]
    pub fn output_is_not(self, name: &str) -> Self {
        self.link(MetaKey::OutputName, padded(name), true)
    }

    /// The transport protocol is `number`.
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.expression(Expression::Meta { key: MetaKey::Protocol, into: SCRATCH }).equal(SCRATCH, vec![number], false)
    }

    /// The destination port of any transport protocol that has ports at the usual place.
    #[must_use]
    pub fn destination_port(self, port: u16) -> Self {
        let load = Expression::Payload { base: Base::Transport, offset: 2, length: 2, into: SCRATCH };
        self.expression(load).equal(SCRATCH, port.to_be_bytes().to_vec(), false)
    }

    /// The packet starts a connection.
    #[must_use]
    pub fn new_connection(self) -> Self {
        const NEW: u32 = 8;
        self.ct_bits(CtKey::State, NEW)
    }

    /// The destination of the packet's connection was translated.
    #[must_use]
    pub fn destination_translated(self) -> Self {
        const DESTINATION_NAT: u32 = 1 << 5;
        self.ct_bits(CtKey::Status, DESTINATION_NAT)
    }

    /// The source is an address of this host.
    #[must_use]
    pub fn source_is_local(self) -> Self {
        self.local(FibResult::SourceType)
    }

    /// The destination is an address of this host.
    #[must_use]
    pub fn destination_is_local(self) -> Self {
        self.local(FibResult::DestinationType)
    }

    /// All of these bits of the packet's mark are set.
    #[must_use]
    pub fn marked(self, bits: u32) -> Self {
        self.expression(Expression::Meta { key: MetaKey::Mark, into: SCRATCH }).masked(bits).equal(
            SCRATCH,
            bits.to_ne_bytes().to_vec(),
            false,
        )
    }

    /// Sets these bits of the packet's mark.
    #[must_use]
    pub fn set_mark(self, bits: u32) -> Self {
        self.change_mark(!bits, bits)
    }

    /// Clears these bits of the packet's mark.
    #[must_use]
    pub fn clear_mark(self, bits: u32) -> Self {
        self.change_mark(!bits, 0)
    }

    fn change_mark(self, mask: u32, xor: u32) -> Self {
        self.expression(Expression::Meta { key: MetaKey::Mark, into: SCRATCH })
            .expression(Expression::Bitwise {
                from: SCRATCH,
                into: SCRATCH,
                mask: mask.to_ne_bytes().to_vec(),
                xor: xor.to_ne_bytes().to_vec(),
            })
            .expression(Expression::SetMeta { key: MetaKey::Mark, from: SCRATCH })
    }

    fn ct_bits(self, key: CtKey, bits: u32) -> Self {
        self.expression(Expression::Ct { key, into: SCRATCH }).masked(bits).equal(SCRATCH, vec![0; 4], true)
    }

    fn masked(self, bits: u32) -> Self {
        let mask = bits.to_ne_bytes().to_vec();
        self.expression(Expression::Bitwise { from: SCRATCH, into: SCRATCH, mask, xor: vec![0; 4] })
    }

    fn local(self, result: FibResult) -> Self {
        const LOCAL: u32 = 2;
        let local = LOCAL.to_ne_bytes().to_vec();
        self.expression(Expression::Fib { result, into: SCRATCH }).equal(SCRATCH, local, false)
    }

    fn link(self, key: MetaKey, bytes: Vec<u8>, negated: bool) -> Self {
        self.expression(Expression::Meta { key, into: WIDE }).equal(WIDE, bytes, negated)
    }

    fn address(self, end: End, net: IpNet, negated: bool) -> Self {
        let (network, mask) = match net {
            IpNet::V4(net) => (net.network().octets().to_vec(), net.netmask().octets().to_vec()),
            IpNet::V6(net) => (net.network().octets().to_vec(), net.netmask().octets().to_vec()),
        };
        let (length, offset) = match (network.len(), end) {
            (4, End::Source) => (4, 12),
            (4, End::Destination) => (4, 16),
            (_, End::Source) => (16, 8),
            (_, End::Destination) => (16, 24),
        };
        let xor = vec![0; network.len()];
        self.expression(Expression::Payload { base: Base::Network, offset, length, into: WIDE })
            .expression(Expression::Bitwise { from: WIDE, into: WIDE, mask, xor })
            .equal(WIDE, network, negated)
    }

    fn equal(self, from: Register, bytes: Vec<u8>, negated: bool) -> Self {
        self.expression(Expression::Equal { from, bytes, negated })
    }
}

/// A whole link name as the kernel compares it.
fn padded(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}
