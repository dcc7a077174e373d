//! Attached clients: copies of a container's output, written as fast as each client reads.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::container::Side;
use crate::clock;

/// A client that reads nothing for this long, in nanoseconds, while the container waits for it, is let go.
const PATIENCE: i64 = 10_000_000_000;

/// One stream of a client.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) side: Side,
    out: File,
    pending: Vec<u8>,
    /// Since when nothing could be written.
    stalled: Option<i64>,
}

impl Tap {
    pub(super) fn new(side: Side, out: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&out)?;
        Ok(Self { side, out: out.into(), pending: Vec::new(), stalled: None })
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the client has closed its end.
    pub(super) fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.out.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].any().unwrap_or(false)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.out.as_fd()
    }

    pub(super) fn has_stalled(&self) -> bool {
        self.stalled.is_some_and(|since| clock::nanoseconds() - since > PATIENCE)
    }

    /// Takes output. Returns whether the client is still there.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        self.pending.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what the client takes. Returns whether it is still there.
    pub(super) fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match self.out.write(&self.pending) {
                Ok(0) => return false,
                Ok(written) => {
                    self.pending.drain(..written);
                    self.stalled = None;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(clock::nanoseconds);
                    return true;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.pending = Vec::new();
        true
    }
}

/// Reads and writes of it no longer wait.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
