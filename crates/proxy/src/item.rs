//! The pieces that a rule set is made of. Two rule sets are equal when their items are.

use std::fmt;
use std::net::IpAddr;

use crate::chain::ChainSpec;
use crate::endpoints::Backend;

/// A transport protocol that Services know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// The protocol of a port; TCP when nothing is said. `None` for a name that is no protocol.
    pub(crate) fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// The number in IP headers.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Where clients send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontKey {
    pub address: IpAddr,
    pub protocol: Protocol,
    pub port: u16,
}

impl fmt::Display for FrontKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {} . {}", self.address, self.protocol, self.port)
    }
}

/// What happens to packets for a frontend that nobody can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// There are no endpoints: the client is told at once.
    Reject,
    /// There are endpoints, but the policy allows none of them on this node: the client may try elsewhere.
    Drop,
}

/// One chain or one element of the rule set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A shared chain of the IPv6 (`true`) or IPv4 table.
    Chain(bool, ChainSpec),
    /// A frontend with endpoints.
    Service(FrontKey, ChainSpec),
    /// A frontend without.
    Refused(FrontKey, Outcome),
    /// The endpoint with this index.
    Endpoint(FrontKey, u32, Backend),
    /// The endpoint on this node with this index, for clients from outside that must not leave the node.
    Local(FrontKey, u32, Backend),
    /// An endpoint that clients with affinity may stay with.
    Member(FrontKey, Backend),
    /// A pod on this node that may reach itself through a Service.
    Hairpin(IpAddr),
}

impl Item {
    pub(crate) fn is_ipv6(&self) -> bool {
        match self {
            Self::Chain(ipv6, _) => *ipv6,
            Self::Hairpin(address) => address.is_ipv6(),
            Self::Service(key, _)
            | Self::Refused(key, _)
            | Self::Endpoint(key, ..)
            | Self::Local(key, ..)
            | Self::Member(key, _) => key.address.is_ipv6(),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(ipv6, spec) => write!(f, "chain {spec} in {}", if *ipv6 { "ip6" } else { "ip" }),
            Self::Service(key, spec) => write!(f, "services: {key} -> {spec}"),
            Self::Refused(key, Outcome::Reject) => write!(f, "refused: {key} -> reject"),
            Self::Refused(key, Outcome::Drop) => write!(f, "refused: {key} -> drop"),
            Self::Endpoint(key, index, backend) => write!(f, "endpoints: {key} . {index} -> {backend}"),
            Self::Local(key, index, backend) => write!(f, "local: {key} . {index} -> {backend}"),
            Self::Member(key, backend) => write!(f, "members: {key} . {backend}"),
            Self::Hairpin(address) => write!(f, "hairpin: {address}"),
        }
    }
}
