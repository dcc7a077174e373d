//! Processes under way: forked, but not yet running their programs.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use nix::unistd::Pid;

use super::container::{Container, Ends};
use super::{Server, Source};
use crate::clock;
use crate::frame::Reader;
use crate::launch::{Launched, Report};
use crate::log::Log;
use crate::protocol::{Answer, Started};
use crate::spec::{self, Identity};
use crate::status::Status;

/// What a launch is for.
#[derive(Debug)]
pub(super) enum Purpose {
    Container { spec: Box<spec::Container>, ends: Ends, log: Option<Log> },
    Exec,
}

/// A launch.
#[derive(Debug)]
pub(super) struct Launch {
    process: Launched,
    reader: Reader,
    /// Who waits for the answer.
    connection: u64,
    purpose: Purpose,
    ready: Option<(Identity, Vec<String>)>,
    terminal: Option<OwnedFd>,
    failed: Option<String>,
}

/// All launches, by process.
#[derive(Debug, Default)]
pub(super) struct Launches(BTreeMap<i32, Launch>);

impl Launches {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, process: Launched, connection: u64, purpose: Purpose) -> io::Result<()> {
        process.reports.set_nonblocking(true)?;
        let (pid, reader) = (process.pid.as_raw(), Reader::default());
        let launch = Launch { process, reader, connection, purpose, ready: None, terminal: None, failed: None };
        self.0.insert(pid, launch);
        Ok(())
    }

    /// Whether a container of this name is under way.
    pub(super) fn has_container(&self, id: &str) -> bool {
        self.0.values().any(|launch| launch.is_of(id))
    }

    pub(super) fn kill_container(&self, id: &str) {
        self.0.values().filter(|launch| launch.is_of(id)).for_each(|launch| kill(launch.process.pid));
    }

    pub(super) fn kill_all(&self) {
        self.0.values().for_each(|launch| kill(launch.process.pid));
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &spec::Container> {
        self.0.values().filter_map(|launch| match &launch.purpose {
            Purpose::Container { spec, .. } => Some(&**spec),
            Purpose::Exec => None,
        })
    }

    pub(super) fn watch<'a>(&'a self, watched: &mut Vec<(Source, BorrowedFd<'a>, PollFlags)>) {
        for (pid, launch) in &self.0 {
            watched.push((Source::Launch(*pid), launch.process.reports.as_fd(), PollFlags::POLLIN));
        }
    }
}

impl Launch {
    fn is_of(&self, container: &str) -> bool {
        matches!(&self.purpose, Purpose::Container { spec, .. } if spec.id == container)
    }

    /// Reads reports. Returns whether they have ended.
    fn read(&mut self, chunk: &mut [u8]) -> bool {
        loop {
            match self.reader.fill(&self.process.reports, chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return true,
            }
            while let Ok(Some((report, descriptors))) = self.reader.take() {
                match report {
                    Report::Ready { user, warnings } => {
                        self.ready = Some((user, warnings));
                        self.terminal = descriptors.into_iter().next();
                    }
                    Report::Failed { message } => self.failed = Some(message),
                }
            }
        }
    }
}

impl Server {
    pub(super) fn settle_if_done(&mut self, pid: i32) {
        let Some(launch) = self.launches.0.get_mut(&pid) else { return };
        if launch.read(&mut self.chunk)
            && let Some(launch) = self.launches.0.remove(&pid)
        {
            self.settle(launch);
        }
    }

    /// The process has ended, so its reports have.
    pub(super) fn settle_ended(&mut self, pid: i32) {
        if let Some(mut launch) = self.launches.0.remove(&pid) {
            launch.read(&mut self.chunk);
            self.settle(launch);
        }
    }

    fn settle(&mut self, launch: Launch) {
        let (pid, connection) = (launch.process.pid, launch.connection);
        let result = match (launch.ready, launch.failed) {
            (Some(ready), None) => Ok(ready),
            (_, Some(message)) => Err(message),
            (None, None) => Err("the process ended before its program was executed".to_owned()),
        };
        let answer = match (result, launch.purpose) {
            (Err(message), _) => Answer::Failed { message },
            (Ok((user, warnings)), Purpose::Container { spec, mut ends, log }) => {
                ends.out = launch.terminal.or(ends.out);
                self.add_container(*spec, ends, log, pid, user, warnings)
            }
            (Ok(_), Purpose::Exec) => {
                let waits = self.connections.get(connection);
                match waits {
                    Some(waits) => waits.exec = Some(pid.as_raw()),
                    None => kill(pid),
                }
                let terminal: Vec<OwnedFd> = launch.terminal.into_iter().collect();
                return self.connections.answer(connection, &Answer::Executing, terminal);
            }
        };
        self.connections.answer(connection, &answer, Vec::new());
    }

    fn add_container(
        &mut self,
        spec: spec::Container,
        ends: Ends,
        log: Option<Log>,
        pid: Pid,
        user: Identity,
        warnings: Vec<String>,
    ) -> Answer {
        let status = Status::started(pid.as_raw(), clock::nanoseconds(), user.clone());
        let started = Started { pid: pid.as_raw(), started_at: status.started_at, user, warnings };
        let (id, directory) = (spec.id.clone(), spec.directory.clone());
        let saved = status.save(&directory);
        match saved.and_then(|()| Container::new(spec, status, ends, log)) {
            Ok(container) => {
                self.containers.insert(id, container);
                Answer::Started(started)
            }
            Err(e) => {
                kill(pid);
                Answer::Failed { message: format!("noting the start in {}: {e}", directory.display()) }
            }
        }
    }
}

pub(super) fn kill(pid: Pid) {
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}
