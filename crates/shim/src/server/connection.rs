//! Connections of runtimes: frames in, frames out, nobody blocked.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::PollFlags;
use serde::Serialize;

use super::Source;
use crate::frame::{self, Reader};
use crate::protocol::{Answer, Event};

/// More than this many at once is a leak of the runtime's.
const MAX_CONNECTIONS: usize = 512;

/// A watcher that lets this many bytes pile up has stopped listening.
const MAX_PENDING: usize = 1 << 20;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) reader: Reader,
    /// Whether the version has been settled.
    pub(super) greeted: bool,
    /// Whether it wants to hear of exits.
    pub(super) watching: bool,
    /// The process that ends with the connection.
    pub(super) exec: Option<i32>,
    outbox: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    broken: bool,
}

/// All connections, by number.
#[derive(Debug, Default)]
pub(super) struct Connections {
    next: u64,
    open: BTreeMap<u64, Connection>,
}

impl Connections {
    pub(super) fn accept(&mut self, listener: &UnixListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.open.len() >= MAX_CONNECTIONS || stream.set_nonblocking(true).is_err() {
                continue;
            }
            self.open.insert(self.next, Connection::new(stream));
            self.next += 1;
        }
    }

    pub(super) fn get(&mut self, id: u64) -> Option<&mut Connection> {
        self.open.get_mut(&id)
    }

    pub(super) fn close(&mut self, id: u64) -> Option<Connection> {
        self.open.remove(&id)
    }

    pub(super) fn answer(&mut self, id: u64, answer: &Answer, descriptors: Vec<OwnedFd>) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.send(answer, descriptors);
        }
    }

    /// Tells everybody who watches.
    pub(super) fn tell(&mut self, event: &Event) {
        for connection in self.open.values_mut().filter(|c| c.watching) {
            connection.send(event, Vec::new());
        }
    }

    pub(super) fn tell_one(&mut self, id: u64, event: &Event) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.send(event, Vec::new());
        }
    }

    /// The connection that waits for the end of a process, and is no longer bound to it.
    pub(super) fn end_exec(&mut self, pid: i32) -> Option<u64> {
        let (id, connection) = self.open.iter_mut().find(|(_, connection)| connection.exec == Some(pid))?;
        connection.exec = None;
        Some(*id)
    }

    /// Writes what is left, for the last time.
    pub(super) fn finish(&mut self) {
        for connection in self.open.values_mut() {
            let _ = connection.stream.set_nonblocking(false);
            let _ = connection.stream.set_write_timeout(Some(std::time::Duration::from_secs(1)));
            connection.flush();
        }
    }

    pub(super) fn watch<'a>(&'a self, watched: &mut Vec<(Source, BorrowedFd<'a>, PollFlags)>) {
        for (id, connection) in &self.open {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, connection.broken || !connection.outbox.is_empty());
            watched.push((Source::Connection(*id), connection.stream.as_fd(), flags));
        }
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            reader: Reader::default(),
            greeted: false,
            watching: false,
            exec: None,
            outbox: VecDeque::new(),
            broken: false,
        }
    }

    /// Queues a frame and writes what the socket takes.
    pub(super) fn send<T: Serialize>(&mut self, message: &T, descriptors: Vec<OwnedFd>) {
        match frame::encode(message) {
            Ok(bytes) => self.outbox.push_back((bytes, descriptors)),
            Err(_) => self.broken = true,
        }
        self.flush();
        let pending: usize = self.outbox.iter().map(|(bytes, _)| bytes.len()).sum();
        self.broken |= pending > MAX_PENDING;
    }

    pub(super) fn flush(&mut self) {
        while let Some((bytes, descriptors)) = self.outbox.front_mut() {
            match frame::send_bytes(&self.stream, bytes, descriptors) {
                Ok(sent) => {
                    descriptors.clear();
                    bytes.drain(..sent);
                    if bytes.is_empty() {
                        self.outbox.pop_front();
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
    }

    /// Reads what is there. Returns whether the peer is still there.
    pub(super) fn fill(&mut self, chunk: &mut [u8]) -> bool {
        self.flush();
        match self.reader.fill(&self.stream, chunk) {
            Ok(0) => false,
            Ok(_) => !self.broken,
            Err(e) => e.kind() == io::ErrorKind::WouldBlock && !self.broken,
        }
    }
}
