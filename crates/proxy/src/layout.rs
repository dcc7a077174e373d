//! Where the rules keep addresses, protocols and ports in registers, and how elements lay out the same as bytes.
//!
//! The registers hold, one after the other: client, frontend address, protocol, port, and then either the index of an
//! endpoint or the endpoint itself. Every key of every map is a run of these.

use std::net::IpAddr;

use netfilter::{Base, DataType, Expression, Family, MetaKey, Register};

use crate::endpoints::Backend;
use crate::item::FrontKey;

/// The layout of one IP family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ipv6: bool,
}

impl Layout {
    pub(crate) const BOTH: [Self; 2] = [Self { ipv6: false }, Self { ipv6: true }];

    pub(crate) fn family(self) -> Family {
        if self.ipv6 { Family::Ipv6 } else { Family::Ipv4 }
    }

    /// Registers of an address.
    fn width(self) -> u8 {
        if self.ipv6 { 4 } else { 1 }
    }

    /// Client, frontend address, protocol, port: the key of affinity.
    pub(crate) fn client(self) -> Register {
        Register(0)
    }

    /// Frontend address, protocol, port: the key of a frontend; with what follows, of its endpoints and members.
    pub(crate) fn front(self) -> Register {
        Register(self.width())
    }

    fn protocol(self) -> Register {
        Register(self.width() * 2)
    }

    fn port(self) -> Register {
        Register(self.width() * 2 + 1)
    }

    /// The index of an endpoint, or its address.
    pub(crate) fn backend(self) -> Register {
        Register(self.width() * 2 + 2)
    }

    pub(crate) fn backend_port(self) -> Register {
        Register(self.width() * 3 + 2)
    }

    pub(crate) fn load_client(self) -> Expression {
        self.load_address(if self.ipv6 { 8 } else { 12 }, self.client())
    }

    pub(crate) fn load_front(self) -> [Expression; 3] {
        [
            self.load_destination(self.front()),
            Expression::Meta { key: MetaKey::Protocol, into: self.protocol() },
            Expression::Payload { base: Base::Transport, offset: 2, length: 2, into: self.port() },
        ]
    }

    pub(crate) fn load_destination(self, into: Register) -> Expression {
        self.load_address(if self.ipv6 { 24 } else { 16 }, into)
    }

    fn load_address(self, offset: u32, into: Register) -> Expression {
        Expression::Payload { base: Base::Network, offset, length: u32::from(self.width()) * 4, into }
    }

    pub(crate) fn address_type(self) -> DataType {
        if self.ipv6 { DataType::Ipv6 } else { DataType::Ipv4 }
    }

    pub(crate) fn front_type(self) -> [DataType; 3] {
        [self.address_type(), DataType::Protocol, DataType::Port]
    }

    pub(crate) fn backend_type(self) -> [DataType; 2] {
        [self.address_type(), DataType::Port]
    }
}

pub(crate) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(crate) fn front_bytes(key: &FrontKey) -> Vec<u8> {
    let mut bytes = address_bytes(key.address);
    bytes.extend([key.protocol.number(), 0, 0, 0]);
    bytes.extend(key.port.to_be_bytes());
    bytes.extend([0, 0]);
    bytes
}

pub(crate) fn backend_bytes(backend: &Backend) -> Vec<u8> {
    let mut bytes = address_bytes(backend.address);
    bytes.extend(backend.port.to_be_bytes());
    bytes.extend([0, 0]);
    bytes
}
