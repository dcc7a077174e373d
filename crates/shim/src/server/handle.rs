//! Carrying out requests.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::Pid;

use super::container::{Ends, pipe};
use super::launches::{Purpose, kill};
use super::{Container, Server};
use crate::launch::{Launcher as _, Stdio};
use crate::log::Log;
use crate::protocol::{Answer, Hello, Request, Running, Streams, VERSIONS, Welcome, negotiate};
use crate::spec::{self, Pids, Process};

/// An answer with its descriptors; none when it comes later.
type Reply = Option<(Answer, Vec<OwnedFd>)>;

impl Server {
    /// Reads from a connection and carries out what has arrived.
    pub(super) fn serve_connection(&mut self, id: u64) {
        let Some(connection) = self.connections.get(id) else { return };
        if !connection.fill(&mut self.chunk) {
            return self.drop_connection(id);
        }
        while let Some(connection) = self.connections.get(id) {
            let step = if connection.greeted { self.next_request(id) } else { self.greet(id) };
            match step {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.drop_connection(id),
            }
        }
    }

    /// What runs for a connection ends with it.
    fn drop_connection(&mut self, id: u64) {
        if let Some(pid) = self.connections.close(id).and_then(|connection| connection.exec) {
            kill(Pid::from_raw(pid));
        }
    }

    fn greet(&mut self, id: u64) -> io::Result<bool> {
        let Some(connection) = self.connections.get(id) else { return Ok(false) };
        let Some((hello, _)) = connection.reader.take::<Hello>()? else { return Ok(false) };
        let Some(version) = negotiate(&hello.versions) else {
            let message = format!("this shim speaks the versions {VERSIONS:?}, the runtime {:?}", hello.versions);
            connection.send(&Welcome::Refused { message }, Vec::new());
            return Err(io::ErrorKind::Unsupported.into());
        };
        connection.greeted = true;
        let (sandbox, pid) = (self.sandbox.id.clone(), std::process::id().cast_signed());
        connection.send(&Welcome::Speak { version, sandbox, pid }, Vec::new());
        Ok(true)
    }

    fn next_request(&mut self, id: u64) -> io::Result<bool> {
        let Some(connection) = self.connections.get(id) else { return Ok(false) };
        let Some((request, descriptors)) = connection.reader.take::<Request>()? else { return Ok(false) };
        let reply = self.handle(id, request, descriptors);
        let reply = reply.unwrap_or_else(|message| Some((Answer::Failed { message }, Vec::new())));
        if let Some((answer, descriptors)) = reply {
            self.connections.answer(id, &answer, descriptors);
        }
        Ok(true)
    }

    fn handle(&mut self, id: u64, request: Request, descriptors: Vec<OwnedFd>) -> Result<Reply, String> {
        match request {
            Request::Start(spec) => self.start(id, spec).map(|()| None),
            Request::Signal { container, signal, all } => self.signal(&container, signal, all).map(done),
            Request::Exec { container, process, streams } => {
                self.exec(id, &container, &process, streams, descriptors).map(|()| None)
            }
            Request::Attach { container, streams } => self.attach(&container, streams, descriptors),
            Request::CloseStdin { container } => self.running(&container).map(Container::close_stdin).map(done),
            Request::ReopenLog { container } => {
                let reopened = self.running(&container)?.reopen_log();
                reopened.map(done).map_err(|e| format!("opening the log of container {container} anew: {e}"))
            }
            Request::Sockets => sockets().map(Some).map_err(|e| format!("making a socket in the sandbox: {e}")),
            Request::Forget { container } => {
                self.forget(&container);
                Ok(done(()))
            }
            Request::Watch => Ok(self.watch(id)),
            Request::Shutdown => {
                self.shut_down(id);
                Ok(None)
            }
        }
    }

    fn start(&mut self, connection: u64, spec: Box<spec::Container>) -> Result<(), String> {
        let id = &spec.id;
        if self.ending.is_some() {
            return Err(format!("starting container {id}: the sandbox is being stopped"));
        }
        if self.containers.contains_key(id) || self.launches.has_container(id) {
            return Err(format!("starting container {id}: it has been started already"));
        }
        if spec.pids == Pids::Sandbox && self.namespaces.pids.is_none() {
            return Err(format!("starting container {id}: the sandbox has no shared process namespace"));
        }
        let target = match &spec.pids {
            Pids::Container(target) => Some(Pid::from_raw(self.running(target)?.status.pid)),
            _ => None,
        };
        let log = spec.log.as_deref().map(Log::open).transpose();
        let log = log.map_err(|e| format!("opening the log of container {id}: {e}"))?;
        let (ends, stdio) = streams_of(&spec).map_err(|e| format!("making the streams of container {id}: {e}"))?;
        let launched = self.launcher().start(&spec, target, stdio).map_err(|e| e.to_string())?;
        let purpose = Purpose::Container { spec, ends, log };
        self.launches.add(launched, connection, purpose).map_err(|e| e.to_string())
    }

    fn exec(
        &mut self,
        connection: u64,
        container: &str,
        process: &Process,
        streams: Streams,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let stdio = if process.tty { Ok(Stdio::Terminal) } else { given_streams(streams, descriptors) };
        let stdio = stdio.map_err(|e| format!("taking the streams of a process in container {container}: {e}"))?;
        let running = self.running(container)?;
        let init = Pid::from_raw(running.status.pid);
        let running = &self.containers[container];
        let launched = self.launcher().exec(&running.spec, init, process, stdio).map_err(|e| e.to_string())?;
        self.launches.add(launched, connection, Purpose::Exec).map_err(|e| e.to_string())
    }

    fn signal(&mut self, container: &str, signal: i32, all: bool) -> Result<(), String> {
        if !(1..=64).contains(&signal) {
            return Err(format!("signalling container {container}: there is no signal {signal}"));
        }
        let found = self.containers.get(container).ok_or_else(|| unknown(container))?;
        if found.has_ended() {
            return Ok(());
        }
        let group = self.hierarchies.group(&found.spec.cgroup);
        if all && signal == Signal::SIGKILL as i32 {
            group.kill();
        }
        let others = if all { group.processes() } else { Vec::new() };
        for pid in others.into_iter().chain([found.status.pid]) {
            crate::sys::send_signal(pid, signal);
        }
        Ok(())
    }

    fn attach(&mut self, container: &str, streams: Streams, descriptors: Vec<OwnedFd>) -> Result<Reply, String> {
        let running = self.running(container)?;
        let tty = running.spec.process.tty;
        let end =
            running.attach(streams, descriptors).map_err(|e| format!("attaching to container {container}: {e}"))?;
        let answer = Answer::Attached { stdin: end.is_some() && !tty, terminal: end.is_some() && tty };
        Ok(Some((answer, end.into_iter().collect())))
    }

    fn watch(&mut self, id: u64) -> Reply {
        if let Some(connection) = self.connections.get(id) {
            connection.watching = true;
        }
        let running = |(id, container): (&String, &Container)| Running {
            container: id.clone(),
            pid: container.status.pid,
            exit: container.status.exit,
        };
        Some((Answer::State { containers: self.containers.iter().map(running).collect() }, Vec::new()))
    }

    /// The loop answers when everything has ended.
    fn shut_down(&mut self, id: u64) {
        self.ending = Some(id);
        let under_way = self.launches.containers();
        for spec in self.containers.values().map(|container| &container.spec).chain(under_way) {
            self.hierarchies.group(&spec.cgroup).kill();
        }
        // A process that has not reached its cgroup yet is killed by number.
        self.containers.values().filter(|c| !c.has_ended()).for_each(|c| kill(Pid::from_raw(c.status.pid)));
        self.launches.kill_all();
        if let Some(holder) = self.namespaces.holder {
            kill(holder);
        }
    }

    /// Drops a container. Nothing of one that was thought to have ended, or never to have started, may go on.
    fn forget(&mut self, container: &str) {
        self.launches.kill_container(container);
        if let Some(forgotten) = self.containers.remove(container).filter(|container| !container.has_ended()) {
            self.hierarchies.group(&forgotten.spec.cgroup).kill();
            kill(Pid::from_raw(forgotten.status.pid));
        }
    }

    fn running(&mut self, container: &str) -> Result<&mut Container, String> {
        let found = self.containers.get_mut(container).ok_or_else(|| unknown(container))?;
        if found.has_ended() {
            return Err(format!("container {container} is not running"));
        }
        Ok(found)
    }
}

fn unknown(container: &str) -> String {
    format!("container {container} is not known to the sandbox")
}

fn done((): ()) -> Reply {
    Some((Answer::Done, Vec::new()))
}

/// The streams of a new container: our ends and its.
fn streams_of(spec: &spec::Container) -> io::Result<(Ends, Stdio)> {
    if spec.process.tty {
        return Ok((Ends::default(), Stdio::Terminal));
    }
    let (out, stdout) = pipe()?;
    let (error, stderr) = pipe()?;
    let (stdin, writer) = if spec.stdin {
        let (reader, writer) = pipe()?;
        (reader, Some(writer))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    Ok((Ends { stdin: writer, out: Some(out), error: Some(error) }, Stdio::Streams { stdin, stdout, stderr }))
}

/// The streams that came with a request; the missing ones lead nowhere.
fn given_streams(streams: Streams, descriptors: Vec<OwnedFd>) -> io::Result<Stdio> {
    let mut descriptors = descriptors.into_iter();
    let mut next = |given: bool| match given {
        true => descriptors.next().ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        false => File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from),
    };
    Ok(Stdio::Streams { stdin: next(streams.stdin)?, stdout: next(streams.stdout)?, stderr: next(streams.stderr)? })
}

fn sockets() -> io::Result<(Answer, Vec<OwnedFd>)> {
    let make = |family| socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None);
    let v4 = make(AddressFamily::Inet)?;
    let v6 = make(AddressFamily::Inet6).ok();
    Ok((Answer::Sockets { v6: v6.is_some() }, std::iter::once(v4).chain(v6).collect()))
}
