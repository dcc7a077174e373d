//! A small blocking rtnetlink client. Requests take microseconds, several go in one system call, and a socket stays in
//! the network namespace it was opened in, whichever thread uses it.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::{AddressMessageBuilder, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::Error;

/// Bytes of one receive; the kernel fills dumps up to 32 KiB.
const RECEIVE: usize = 64 * 1024;

/// What to do when the object exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
}

/// One change, with the words for its error.
pub(crate) struct Request {
    what: String,
    message: RouteNetlinkMessage,
    flags: u16,
}

/// A socket in one network namespace.
pub(crate) struct Rtnl {
    socket: Socket,
    sequence: u32,
}

impl Rtnl {
    /// Opens a socket in the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, Error> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        Ok(Self { socket: open().map_err(Error::system("open a route netlink socket"))?, sequence: 0 })
    }

    /// Applies `requests` in order with one send; the first failure is reported, later ones may have been applied.
    pub(crate) fn apply(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let first = self.sequence + 1;
        let mut bytes = Vec::new();
        let mut words = Vec::with_capacity(requests.len());
        for request in requests {
            self.encode(request.message, request.flags | NLM_F_REQUEST | NLM_F_ACK, &mut bytes);
            words.push(request.what);
        }
        self.socket.send(&bytes, 0).map_err(Error::system("send to the kernel"))?;
        let mut outcome = Ok(());
        let mut open = words.len();
        while open > 0 {
            for reply in self.receive("receive an answer of the kernel")? {
                let NetlinkPayload::Error(answer) = reply.payload else { continue };
                let Some(index) = reply.header.sequence_number.checked_sub(first) else { continue };
                open -= 1;
                if let (Some(code), true) = (answer.code, outcome.is_ok()) {
                    let source = io::Error::from_raw_os_error(code.get().abs());
                    let what = words.get(index as usize).cloned().unwrap_or_default();
                    outcome = Err(Error::System { what, source });
                }
            }
        }
        outcome
    }

    /// Lists what `message` asks for.
    pub(crate) fn dump(&mut self, what: &str, message: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut bytes = Vec::new();
        self.encode(message, NLM_F_REQUEST | NLM_F_DUMP, &mut bytes);
        self.socket.send(&bytes, 0).map_err(Error::system(what))?;
        let mut found = Vec::new();
        loop {
            for reply in self.receive(what)? {
                match reply.payload {
                    NetlinkPayload::InnerMessage(message) => found.push(message),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(answer) => {
                        let code = answer.code.map_or(0, |code| code.get().abs());
                        return Err(Error::system(what)(io::Error::from_raw_os_error(code)));
                    }
                    _ => {}
                }
            }
        }
    }

    fn encode(&mut self, message: RouteNetlinkMessage, flags: u16, bytes: &mut Vec<u8>) {
        self.sequence += 1;
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let start = bytes.len();
        bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut bytes[start..]);
    }

    fn receive(&self, what: &str) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>, Error> {
        let mut buffer = Vec::with_capacity(RECEIVE);
        self.socket.recv(&mut buffer, 0).map_err(Error::system(what))?;
        let mut rest = buffer.as_slice();
        let mut messages = Vec::new();
        while rest.len() >= 16 {
            let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            if length < 16 || length > rest.len() {
                return Err(Error::system(what)(io::ErrorKind::InvalidData.into()));
            }
            // What cannot be read is a kind of object newer than the library.
            if let Ok(message) = NetlinkMessage::deserialize(&rest[..length]) {
                messages.push(message);
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

impl Existing {
    fn flags(self) -> u16 {
        NLM_F_CREATE | if self == Self::Refuse { NLM_F_EXCL } else { NLM_F_REPLACE }
    }
}

/// Creates the pair `name`, up, and `eth0` in the namespace of `netns`, which the kernel cannot bring up yet.
pub(crate) fn create_veth(name: &str, mac: [u8; 6], peer_mac: [u8; 6], mtu: u32, netns: i32) -> Request {
    let peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name("eth0")
        .address(peer_mac.to_vec())
        .mtu(mtu)
        .setns_by_fd(netns)
        .build();
    let message = LinkMessageBuilder::<LinkVeth>::new(name, "eth0")
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .address(mac.to_vec())
        .mtu(mtu)
        .up()
        .build();
    request(format!("create link {name}"), RouteNetlinkMessage::NewLink(message), Existing::Refuse.flags())
}

pub(crate) fn delete_link(name: &str) -> Request {
    let message = LinkUnspec::new_with_name(name).build();
    request(format!("delete link {name}"), RouteNetlinkMessage::DelLink(message), 0)
}

pub(crate) fn list_links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(LinkMessage::default())
}

/// The name in an answer to [`list_links`].
pub(crate) fn link_name(reply: &RouteNetlinkMessage) -> Option<&str> {
    let RouteNetlinkMessage::NewLink(link) = reply else { return None };
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

pub(crate) fn link_up(index: u32) -> Request {
    let message = LinkUnspec::new_with_index(index).up().build();
    request(format!("set link {index} up"), RouteNetlinkMessage::SetLink(message), 0)
}

/// Adds `address` with a full-length prefix.
pub(crate) fn add_address(index: u32, address: IpAddr) -> Request {
    request(
        format!("add address {address}"),
        RouteNetlinkMessage::NewAddress(address_message(index, address)),
        Existing::Replace.flags(),
    )
}

/// The same under a label, by which it is found again. IPv6 knows none.
pub(crate) fn add_labelled_address(index: u32, address: IpAddr, label: &str) -> Request {
    let mut message = address_message(index, address);
    if address.is_ipv4() {
        message.attributes.push(AddressAttribute::Label(label.to_owned()));
    }
    request(format!("add address {address}"), RouteNetlinkMessage::NewAddress(message), Existing::Replace.flags())
}

pub(crate) fn list_addresses() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetAddress(AddressMessage::default())
}

/// The address in an answer to [`list_addresses`], if it has this label.
pub(crate) fn labelled_address(reply: &RouteNetlinkMessage, label: &str) -> Option<IpAddr> {
    let RouteNetlinkMessage::NewAddress(message) = reply else { return None };
    let labelled = message.attributes.iter().any(|a| matches!(a, AddressAttribute::Label(found) if found == label));
    let local = |a: &AddressAttribute| if let AddressAttribute::Local(address) = a { Some(*address) } else { None };
    message.attributes.iter().find_map(local).filter(|_| labelled)
}

pub(crate) fn delete_address(index: u32, address: IpAddr) -> Request {
    let message = RouteNetlinkMessage::DelAddress(address_message(index, address));
    request(format!("delete address {address}"), message, 0)
}

/// Routes `destination` to a link without a gateway; sources that are not bound use `source`.
pub(crate) fn add_route(destination: IpNet, index: u32, source: Option<IpAddr>) -> Request {
    let message = RouteNetlinkMessage::NewRoute(route_message(destination, index, source));
    request(format!("add route to {destination}"), message, Existing::Replace.flags())
}

pub(crate) fn delete_route(destination: IpNet, index: u32) -> Request {
    let message = RouteNetlinkMessage::DelRoute(route_message(destination, index, None));
    request(format!("delete route to {destination}"), message, 0)
}

/// A default route through a gateway that no route covers.
pub(crate) fn add_default_route(gateway: IpAddr, index: u32) -> Request {
    let message = match gateway {
        IpAddr::V4(gateway) => {
            RouteMessageBuilder::<std::net::Ipv4Addr>::new().gateway(gateway).output_interface(index).onlink().build()
        }
        IpAddr::V6(gateway) => {
            RouteMessageBuilder::<std::net::Ipv6Addr>::new().gateway(gateway).output_interface(index).onlink().build()
        }
    };
    let message = RouteNetlinkMessage::NewRoute(message);
    request(format!("add default route through {gateway}"), message, Existing::Replace.flags())
}

/// A permanent entry: no resolution ever happens for `address` on this link.
pub(crate) fn add_neighbour(index: u32, address: IpAddr, mac: [u8; 6]) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    let (family, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(destination));
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let message = RouteNetlinkMessage::NewNeighbour(message);
    request(format!("add neighbour {address}"), message, Existing::Replace.flags())
}

fn request(what: String, message: RouteNetlinkMessage, flags: u16) -> Request {
    Request { what, message, flags }
}

fn address_message(index: u32, address: IpAddr) -> AddressMessage {
    match address {
        IpAddr::V4(address) => {
            AddressMessageBuilder::<std::net::Ipv4Addr>::new().index(index).address(address, 32).build()
        }
        IpAddr::V6(address) => {
            let builder = AddressMessageBuilder::<std::net::Ipv6Addr>::new();
            let mut message = builder.index(index).address(address, 128).build();
            // Nobody else can have it, so waiting for duplicate detection would only delay the pod.
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            message
        }
    }
}

fn route_message(destination: IpNet, index: u32, source: Option<IpAddr>) -> RouteMessage {
    match destination {
        IpNet::V4(net) => {
            let mut builder = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
                .destination_prefix(net.network(), net.prefix_len())
                .output_interface(index)
                .scope(RouteScope::Link);
            if let Some(IpAddr::V4(source)) = source {
                builder = builder.pref_source(source);
            }
            builder.build()
        }
        IpNet::V6(net) => {
            let mut builder = RouteMessageBuilder::<std::net::Ipv6Addr>::new()
                .destination_prefix(net.network(), net.prefix_len())
                .output_interface(index);
            if let Some(IpAddr::V6(source)) = source {
                builder = builder.pref_source(source);
            }
            builder.build()
        }
    }
}
