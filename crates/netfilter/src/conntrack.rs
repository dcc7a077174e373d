//! Ending connections that the kernel tracks: datagrams would follow an old translation for as long as they flow.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_NETFILTER};

use crate::error::Error;
use crate::wire::{Message, Writer, attributes, messages, netfilter_attributes, word};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = 1;
const DELETE: u16 = 2;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const DONE: u16 = 3;
const ANSWER: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const RECEIVE: usize = 64 * 1024;

/// A tracked connection: where it was sent, and where it was translated to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Transport protocol number.
    pub protocol: u8,
    pub destination: IpAddr,
    pub destination_port: u16,
    /// Who answers: the translated destination, or the destination itself.
    pub responder: IpAddr,
    pub responder_port: u16,
}

/// A socket to the kernel's table of connections, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Conntrack {
    netlink: Netlink,
    sequence: u32,
}

impl Conntrack {
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> Result<Self, Error> {
        let open = || {
            let mut netlink = Netlink::new(NETLINK_NETFILTER)?;
            netlink.bind_auto()?;
            netlink.connect(&SocketAddr::new(0, 0))?;
            Ok(netlink)
        };
        Ok(Self { netlink: open().map_err(Error::Open)?, sequence: 0 })
    }

    /// Deletes the connections of one family that `wanted` picks; returns how many. Reads the whole table once.
    ///
    /// # Errors
    /// When the table cannot be read; a connection that ends meanwhile is none.
    pub fn delete(&mut self, ipv6: bool, mut wanted: impl FnMut(&Flow) -> bool) -> Result<usize, Error> {
        let family = if ipv6 { 10 } else { 2 };
        let mut doomed = Vec::new();
        self.dump(family, |message| {
            if read_flow(message.content).is_some_and(|flow| wanted(&flow)) {
                doomed.push(identity(message.content));
            }
        })?;
        let mut deleted = 0;
        for identity in doomed {
            deleted += usize::from(self.delete_one(family, &identity)?);
        }
        Ok(deleted)
    }

    fn dump(&mut self, family: u8, mut found: impl FnMut(&Message<'_>)) -> Result<(), Error> {
        self.send(GET, DUMP, family, &[])?;
        loop {
            let buffer = self.receive()?;
            for message in messages(&buffer).filter(|message| message.sequence == self.sequence) {
                match message.kind {
                    DONE => return Ok(()),
                    ANSWER => return Err(Error::Receive(answer(&message).err().unwrap_or_else(closed))),
                    _ => found(&message),
                }
            }
        }
    }

    fn delete_one(&mut self, family: u8, identity: &[u8]) -> Result<bool, Error> {
        self.send(DELETE, ACK, family, identity)?;
        loop {
            let buffer = self.receive()?;
            let mut answers = messages(&buffer).filter(|m| m.kind == ANSWER && m.sequence == self.sequence);
            let Some(reply) = answers.next() else { continue };
            return match answer(&reply) {
                Ok(()) => Ok(true),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
                Err(source) => {
                    Err(Error::Refused { attempt: "delete a tracked connection".into(), detail: None, source })
                }
            };
        }
    }

    fn send(&mut self, kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Result<(), Error> {
        self.sequence += 1;
        let mut writer = Writer::default();
        writer.message(SUBSYSTEM | kind, REQUEST | flags, self.sequence, [family, 0, 0, 0], |writer| {
            writer.bytes.extend_from_slice(attributes);
        });
        let bytes = writer.bytes.len();
        self.netlink.send(&writer.bytes, 0).map(|_| ()).map_err(|source| Error::Send { bytes, source })
    }

    fn receive(&self) -> Result<Vec<u8>, Error> {
        let mut buffer = Vec::with_capacity(RECEIVE);
        self.netlink.recv(&mut buffer, 0).map_err(Error::Receive)?;
        if buffer.is_empty() { Err(Error::Receive(closed())) } else { Ok(buffer) }
    }
}

fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn answer(message: &Message<'_>) -> io::Result<()> {
    match word(message.content, 0).unwrap_or(0).cast_signed() {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_abs())),
    }
}

/// The attributes that name one connection, as the kernel sent them: its original tuple and its id.
fn identity(content: &[u8]) -> Vec<u8> {
    const NESTED: u16 = 1 << 15;
    let mut writer = Writer::default();
    for (kind, value) in netfilter_attributes(content) {
        match kind {
            TUPLE_ORIGINAL => writer.bytes(kind | NESTED, value),
            ID => writer.bytes(kind, value),
            _ => {}
        }
    }
    writer.bytes
}

fn read_flow(content: &[u8]) -> Option<Flow> {
    let tuple = |wanted: u16| netfilter_attributes(content).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let (original, reply) = (tuple(TUPLE_ORIGINAL)?, tuple(TUPLE_REPLY)?);
    let (protocol, _, destination_port) = ports(original)?;
    let (_, responder_port, _) = ports(reply)?;
    Some(Flow {
        protocol,
        destination: address(original, 2, 4)?,
        destination_port,
        responder: address(reply, 1, 3)?,
        responder_port,
    })
}

/// An address of a tuple by its IPv4 or IPv6 attribute.
fn address(tuple: &[u8], v4: u16, v6: u16) -> Option<IpAddr> {
    let (_, addresses) = attributes(tuple).find(|(kind, _)| *kind == 1)?;
    attributes(addresses).find_map(|(kind, bytes)| {
        if kind == v4 {
            Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into())
        } else if kind == v6 {
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
        } else {
            None
        }
    })
}

/// Protocol, source port and destination port of a tuple; protocols without ports have none.
fn ports(tuple: &[u8]) -> Option<(u8, u16, u16)> {
    let (_, protocol) = attributes(tuple).find(|(kind, _)| *kind == 2)?;
    let field = |wanted: u16| attributes(protocol).find(|(kind, _)| *kind == wanted).map(|(_, bytes)| bytes);
    let port = |wanted| field(wanted).and_then(|bytes| Some(u16::from_be_bytes(bytes.try_into().ok()?)));
    Some((*field(1)?.first()?, port(2)?, port(3)?))
}
