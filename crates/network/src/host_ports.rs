//! Ports of the node that lead to pods, as elements of maps.

use std::net::IpAddr;

use netfilter::{Base, DataType, Element, Expression, MetaKey, NatKind, Register, Rule, Set};
use serde::{Deserialize, Serialize};

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// A port of the node that leads to a port of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    pub protocol: Protocol,
    /// `None` is every address of the node.
    pub host_address: Option<IpAddr>,
    pub host_port: u16,
    pub pod_port: u16,
}

/// The maps of one IP family and the registers of their keys and data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    ipv6: bool,
}

impl Layout {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self { ipv6: address.is_ipv6() }
    }

    /// Ports on one address, ports on every address, and pods that may reach themselves.
    fn names(self) -> [&'static str; 3] {
        if self.ipv6 {
            ["host-ports-v6", "any-host-ports-v6", "hairpin-v6"]
        } else {
            ["host-ports-v4", "any-host-ports-v4", "hairpin-v4"]
        }
    }

    pub(crate) fn sets(self) -> [Set; 3] {
        let address = if self.ipv6 { DataType::Ipv6 } else { DataType::Ipv4 };
        let pod = [address, DataType::Port];
        let [one, any, hairpin] = self.names();
        [
            Set::map(one, &[address, DataType::Protocol, DataType::Port], &pod),
            Set::map(any, &[DataType::Protocol, DataType::Port], &pod),
            Set::new(hairpin, &[address; 2]),
        ]
    }

    /// Translates what is sent to a port of the node; for prerouting and output.
    pub(crate) fn translations(self, family: IpAddr) -> [Rule; 2] {
        let [one, any, _] = self.names();
        let rule = || Rule::new().family_of(family);
        let (address, protocol) = (Register(0), Register(self.width()));
        [self.translation(rule(), one, address), self.translation(rule().destination_is_local(), any, protocol)]
    }

    /// A pod that reaches itself through the node must not see its own address as the client.
    pub(crate) fn hairpin(self, family: IpAddr) -> Rule {
        let [source, destination] = if self.ipv6 { [8, 24] } else { [12, 16] };
        let [.., hairpin] = self.names();
        Rule::new()
            .family_of(family)
            .destination_translated()
            .expression(self.load_address(source, Register(0)))
            .expression(self.load_address(destination, Register(self.width())))
            .expression(Expression::Lookup { set: hairpin.into(), from: Register(0), into: None, negated: false })
            .masquerade()
    }

    fn translation(self, rule: Rule, map: &str, key: Register) -> Rule {
        let width = self.width();
        let (address, port) = (Register(width + 2), Register(width * 2 + 2));
        rule.expression(self.load_address(if self.ipv6 { 24 } else { 16 }, Register(0)))
            .expression(Expression::Meta { key: MetaKey::Protocol, into: Register(width) })
            .expression(Expression::Payload { base: Base::Transport, offset: 2, length: 2, into: Register(width + 1) })
            .expression(Expression::Lookup { set: map.into(), from: key, into: Some(address), negated: false })
            .expression(Expression::Nat { kind: NatKind::Destination, ipv6: self.ipv6, address, port: Some(port) })
    }

    fn load_address(self, offset: u32, into: Register) -> Expression {
        Expression::Payload { base: Base::Network, offset, length: u32::from(self.width()) * 4, into }
    }

    /// Registers of an address.
    fn width(self) -> u8 {
        if self.ipv6 { 4 } else { 1 }
    }
}

/// The elements that `ports` of a pod with `addresses` are, with the names of their sets.
pub(crate) fn elements(ports: &[HostPort], addresses: &[IpAddr]) -> Vec<(&'static str, Element)> {
    let mut elements = Vec::new();
    for pod in addresses.iter().filter(|_| !ports.is_empty()) {
        let [one, any, hairpin] = Layout::of(*pod).names();
        elements.push((hairpin, Element::new(octets(*pod).repeat(2))));
        for port in ports {
            let data = [octets(*pod), padded_port(port.pod_port).to_vec()].concat();
            let key = [port.protocol.padded(), padded_port(port.host_port)].concat();
            match port.host_address {
                None => elements.push((any, Element::with_data(key, data))),
                Some(address) if address.is_ipv6() == pod.is_ipv6() => {
                    elements.push((one, Element::with_data([octets(address), key].concat(), data)));
                }
                Some(_) => {}
            }
        }
    }
    elements
}

impl Protocol {
    fn padded(self) -> [u8; 4] {
        let number = match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        };
        [number, 0, 0, 0]
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn padded_port(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}
