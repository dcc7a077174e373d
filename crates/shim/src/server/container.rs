//! A running container: its streams, log, attached clients and status.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;

use super::Source;
use super::taps::{Tap, set_nonblocking};
use crate::log::{Log, Stream};
use crate::protocol::Streams;
use crate::spec;
use crate::status::{Exit, Status};

/// Most bytes taken of an ended container's stream: more than pipes hold.
const MAX_REST: usize = 1 << 20;

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Stdout, or everything that a terminal shows.
    Out,
    Error,
}

/// The shim's ends of a container's streams.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) stdin: Option<OwnedFd>,
    /// The pipe's reading end, or the terminal's master side.
    pub(super) out: Option<OwnedFd>,
    pub(super) error: Option<OwnedFd>,
}

/// A container that has been started.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) spec: spec::Container,
    pub(super) status: Status,
    ends: Ends,
    log: Option<Log>,
    taps: Vec<Tap>,
}

impl Container {
    pub(super) fn new(spec: spec::Container, status: Status, ends: Ends, log: Option<Log>) -> io::Result<Self> {
        for end in [&ends.stdin, &ends.out, &ends.error].into_iter().flatten() {
            set_nonblocking(end)?;
        }
        Ok(Self { spec, status, ends, log, taps: Vec::new() })
    }

    /// Whether the first process has ended and attached clients have got everything.
    pub(super) fn has_ended(&self) -> bool {
        self.status.exit.is_some()
    }

    /// Adds what is to be waited for. Returns whether a client is being waited for.
    pub(super) fn watch<'a>(&'a self, id: &str, watched: &mut Vec<(Source, BorrowedFd<'a>, PollFlags)>) -> bool {
        let pending = |side: Side| self.taps.iter().any(|tap| tap.side == side && tap.is_pending());
        for (side, end) in [(Side::Out, &self.ends.out), (Side::Error, &self.ends.error)] {
            // The container waits for its slowest client, as it would for a reader of a pipe.
            if let Some(end) = end.as_ref().filter(|_| !pending(side)) {
                watched.push((Source::Output(id.to_owned(), side), end.as_fd(), PollFlags::POLLIN));
            }
        }
        let mut waiting = false;
        for tap in &self.taps {
            // A client that goes away is noticed as an error, which needs no flag.
            let flags = if tap.is_pending() { PollFlags::POLLOUT } else { PollFlags::empty() };
            waiting |= tap.is_pending();
            watched.push((Source::Tap(id.to_owned()), tap.fd(), flags));
        }
        waiting
    }

    /// Reads once and hands on. Returns how much was read; none at the end or when there is nothing.
    pub(super) fn read_output(&mut self, side: Side, chunk: &mut [u8]) -> Option<usize> {
        let end = match side {
            Side::Out => &mut self.ends.out,
            Side::Error => &mut self.ends.error,
        };
        let fd = end.as_ref()?;
        let read = match nix::unistd::read(fd, chunk) {
            Ok(0) => None,
            Ok(read) => Some(read),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return None,
            // A terminal whose last user has gone answers with an error.
            Err(_) => None,
        };
        let Some(read) = read else {
            *end = None;
            return None;
        };
        let bytes = &chunk[..read];
        let stream = if side == Side::Out { Stream::Stdout } else { Stream::Stderr };
        if let Some(log) = &mut self.log {
            log.write(stream, bytes);
        }
        self.taps.retain_mut(|tap| tap.side != side || tap.write(bytes));
        Some(read)
    }

    pub(super) fn flush_taps(&mut self) {
        let ended = self.has_ended();
        self.taps.retain_mut(|tap| !tap.is_gone() && tap.flush() && (!ended || tap.is_pending()));
    }

    pub(super) fn drop_stalled_taps(&mut self) {
        self.taps.retain(|tap| !tap.has_stalled());
    }

    /// Copies output to a client from now on. Returns the writer to stdin, or the terminal.
    pub(super) fn attach(&mut self, streams: Streams, descriptors: Vec<OwnedFd>) -> io::Result<Option<OwnedFd>> {
        let mut descriptors = descriptors.into_iter();
        for (side, wanted) in [(Side::Out, streams.stdout), (Side::Error, streams.stderr)] {
            if wanted {
                let out = descriptors.next().ok_or(io::ErrorKind::UnexpectedEof)?;
                self.taps.push(Tap::new(side, out)?);
            }
        }
        let end = if self.spec.process.tty { &self.ends.out } else { &self.ends.stdin };
        let wanted = self.spec.process.tty || streams.stdin;
        end.as_ref().filter(|_| wanted).map(OwnedFd::try_clone).transpose()
    }

    pub(super) fn close_stdin(&mut self) {
        self.ends.stdin = None;
    }

    pub(super) fn reopen_log(&mut self) -> io::Result<()> {
        self.log.as_mut().map_or(Ok(()), Log::reopen)
    }

    /// Notes the end, after the rest of the output.
    pub(super) fn end(&mut self, exit: Exit, chunk: &mut [u8]) {
        for side in [Side::Out, Side::Error] {
            let mut rest = MAX_REST;
            while let Some(read) = self.read_output(side, chunk) {
                rest = rest.saturating_sub(read);
                if rest == 0 {
                    break;
                }
            }
        }
        if let Some(mut log) = self.log.take() {
            log.finish();
        }
        self.ends = Ends::default();
        self.status.exit = Some(exit);
        self.flush_taps();
    }
}

/// The two ends of a pipe, reading end first.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((reader, writer))
}
