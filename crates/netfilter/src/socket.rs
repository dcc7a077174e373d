//! Giving a batch to the kernel.

use std::io;
use std::os::fd::AsRawFd;

use netlink_sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_NETFILTER};

use crate::batch::{Batch, look_up};
use crate::error::Error;
use crate::object::Table;
use crate::wire::{self, messages};
use crate::words::describe;

/// The message type of answers.
const ANSWER: u16 = 2;
/// Flags of answers: the request is cut off, extra attributes follow.
const CAPPED: u16 = 0x100;
const HAS_ATTRIBUTES: u16 = 0x200;
/// The attribute with the kernel's words.
const WORDS: u16 = 1;
/// Bytes of one receive.
const RECEIVE: usize = 64 * 1024;
/// Bytes the kernel needs beyond a message in the send buffer.
const SLACK: usize = 4096;
/// Bytes of a socket buffer that need no enlarging.
const DEFAULT_BUFFER: usize = 128 * 1024;

/// A netlink socket in the network namespace of the thread that opened it. Calls block for the time that the kernel
/// takes to apply a transaction: microseconds for a few changes, a second for hundreds of thousands.
#[derive(Debug)]
pub struct Socket {
    pub(crate) netlink: Netlink,
    buffer: usize,
}

impl Socket {
    /// Opens a socket; needs `CAP_NET_ADMIN` in the namespace.
    ///
    /// # Errors
    /// When the kernel has no nftables or refuses the socket.
    pub fn open() -> Result<Self, Error> {
        let open = || {
            let mut netlink = Netlink::new(NETLINK_NETFILTER)?;
            netlink.bind_auto()?;
            netlink.connect(&SocketAddr::new(0, 0))?;
            netlink.set_cap_ack(true)?;
            netlink.set_ext_ack(true)?;
            Ok(netlink)
        };
        Ok(Self { netlink: open().map_err(Error::Open)?, buffer: DEFAULT_BUFFER })
    }

    /// Applies `batch` as one transaction and returns when it is in effect.
    ///
    /// # Errors
    /// [`Error::Refused`] names the first change that the kernel refused; nothing was applied then.
    pub fn apply(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = batch.finish();
        let send = |socket: &mut Self| {
            socket.make_room(bytes.len() + SLACK)?;
            socket.netlink.send(&bytes, 0)
        };
        send(self).map_err(|source| Error::Send { bytes: bytes.len(), source })?;
        self.answer(batch)
    }

    /// Whether a table exists. Nothing but this table is asked for.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn has_table(&mut self, table: &Table) -> Result<bool, Error> {
        let bytes = look_up(table);
        self.netlink.send(&bytes, 0).map_err(|source| Error::Send { bytes: bytes.len(), source })?;
        let mut buffer = Vec::with_capacity(RECEIVE);
        loop {
            buffer.clear();
            self.netlink.recv(&mut buffer, 0).map_err(Error::Receive)?;
            let Some(answer) = messages(&buffer).find(|message| message.kind == ANSWER) else { continue };
            let source = match wire::word(answer.content, 0).unwrap_or(0).cast_signed() {
                0 => return Ok(true),
                code => io::Error::from_raw_os_error(code.saturating_abs()),
            };
            if source.raw_os_error() == Some(libc::ENOENT) {
                return Ok(false);
            }
            let attempt = format!("look for table {table}");
            return Err(Error::Refused { attempt, detail: detail(&answer), source });
        }
    }

    /// The kernel has processed a batch when `send` returns, so every answer is there.
    fn answer(&mut self, batch: &Batch) -> Result<(), Error> {
        let mut confirmed = false;
        let mut refused: Option<(u32, Error)> = None;
        let mut buffer = Vec::with_capacity(RECEIVE);
        loop {
            buffer.clear();
            match self.netlink.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // More refusals than the socket holds: the first ones are there.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                Err(error) => return Err(Error::Receive(error)),
            }
            for message in messages(&buffer).filter(|message| message.kind == ANSWER) {
                let code = wire::word(message.content, 0).unwrap_or(0).cast_signed();
                if code == 0 {
                    confirmed = true;
                } else if refused.as_ref().is_none_or(|(first, _)| message.sequence < *first) {
                    refused = Some((message.sequence, refusal(batch, &message, code)));
                }
            }
        }
        match refused {
            Some((_, error)) => Err(error),
            None if confirmed => Ok(()),
            None => Err(Error::Unconfirmed(batch.len())),
        }
    }

    /// A transaction goes in one send, so the send buffer must hold it whole.
    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if bytes <= self.buffer {
            return Ok(());
        }
        let size = libc::c_int::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        force_send_buffer(self.netlink.as_raw_fd(), size)?;
        self.buffer = bytes;
        Ok(())
    }
}

#[expect(unsafe_code, reason = "no safe wrapper sets this option on a socket of the netlink crate")]
fn force_send_buffer(socket: libc::c_int, size: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to a c_int that lives through the call, and `length` is its size.
    let outcome =
        unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, (&raw const size).cast(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn refusal(batch: &Batch, answer: &wire::Message<'_>, code: i32) -> Error {
    let attempt = batch.change(answer.sequence).and_then(describe);
    let attempt = attempt.unwrap_or_else(|| "commit a transaction".to_owned());
    Error::Refused { attempt, detail: detail(answer), source: io::Error::from_raw_os_error(code.saturating_abs()) }
}

/// The kernel's words follow the code and the header of the refused message.
fn detail(answer: &wire::Message<'_>) -> Option<String> {
    if answer.flags & HAS_ATTRIBUTES == 0 {
        return None;
    }
    let echoed = if answer.flags & CAPPED != 0 { wire::HEADER } else { wire::word(answer.content, 4)? as usize };
    let attributes = answer.content.get((4 + echoed).next_multiple_of(4)..)?;
    wire::attributes(attributes).find(|(kind, _)| *kind == WORDS).map(|(_, words)| wire::text(words))
}
