//! Holding a sandbox: going to the background, and one loop over everything that can happen.

mod connection;
mod container;
mod handle;
mod launches;
mod namespaces;
mod reap;
mod taps;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{chdir, pipe2, setsid};

use crate::cgroup::Hierarchies;
use crate::launch::Direct;
use crate::protocol::{Answer, SANDBOX, SOCKET};
use crate::spec::Sandbox;
use crate::sys::{self, Fork};

use connection::Connections;
use container::{Container, Side};
use launches::Launches;
pub(crate) use namespaces::Namespaces;

/// What is read at once.
const CHUNK: usize = 16 << 10;

/// Holds the sandbox whose `sandbox.json` is in `directory`. Returns once the shim serves, in the background; in the
/// background process it returns when the sandbox has been shut down.
///
/// Standard input is kept open as long as the shim lives: it is the sandbox's locked file, by which others see that a
/// shim is there, or on its way.
pub fn run(directory: &Path) -> io::Result<()> {
    chdir(directory).map_err(|e| named(e.into(), &format!("changing to {}", directory.display())))?;
    let sandbox: Sandbox = serde_json::from_slice(&fs::read(SANDBOX).map_err(|e| named(e, "reading sandbox.json"))?)?;
    let (ready, tell) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    match sys::fork(0, None)? {
        Fork::Parent(_) => {
            drop(tell);
            wait_until_ready(ready)
        }
        Fork::Child => {
            drop(ready);
            serve(sandbox, tell)
        }
    }
}

/// The background process says `ok`, or what went wrong.
fn wait_until_ready(ready: OwnedFd) -> io::Result<()> {
    let mut message = String::new();
    File::from(ready).read_to_string(&mut message)?;
    match message.as_str() {
        "ok" => Ok(()),
        "" => Err(io::Error::other("the shim ended before it served")),
        _ => Err(io::Error::other(message)),
    }
}

fn serve(sandbox: Sandbox, tell: OwnedFd) -> io::Result<()> {
    let mut tell = File::from(tell);
    match Server::new(sandbox) {
        Ok(mut server) => {
            tell.write_all(b"ok")?;
            drop(tell);
            server.run()
        }
        Err(e) => tell.write_all(e.to_string().as_bytes()),
    }
}

/// A shim at work.
pub(crate) struct Server {
    sandbox: Sandbox,
    hierarchies: Hierarchies,
    namespaces: Namespaces,
    listener: UnixListener,
    signals: SignalFd,
    connections: Connections,
    containers: BTreeMap<String, Container>,
    launches: Launches,
    /// What this machine's root may give to containers.
    capabilities: u64,
    /// Who asked for the end, once somebody has.
    ending: Option<u64>,
    chunk: Vec<u8>,
    /// What was standard input.
    _lock: OwnedFd,
}

/// Whose descriptor is ready.
#[derive(Clone, Debug)]
enum Source {
    Listener,
    Signals,
    Connection(u64),
    Launch(i32),
    Output(String, Side),
    Tap(String),
}

impl Server {
    fn new(sandbox: Sandbox) -> io::Result<Self> {
        setsid()?;
        sys::reset_signals();
        let lock = io::stdin().as_fd().try_clone_to_owned()?;
        detach_streams()?;
        let hierarchies = Hierarchies::find()?;
        if !sandbox.cgroup.is_empty() {
            let group = hierarchies.group(&sandbox.cgroup);
            group.create()?;
            group.join()?;
        }
        // Losing the shim is worse than losing any container. Not every root may ask for this.
        let _ = fs::write("/proc/self/oom_score_adj", "-998");
        nix::sys::prctl::set_child_subreaper(true)?;
        let namespaces = Namespaces::enter(&sandbox)?;
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGPIPE, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self {
            sandbox,
            hierarchies,
            namespaces,
            listener: listen()?,
            signals,
            connections: Connections::default(),
            containers: BTreeMap::new(),
            launches: Launches::default(),
            capabilities: sys::bounding_set(),
            ending: None,
            chunk: vec![0; CHUNK],
            _lock: lock,
        })
    }

    /// Serves until the sandbox has been shut down.
    fn run(&mut self) -> io::Result<()> {
        while !self.ended() {
            for source in self.wait()? {
                self.dispatch(source);
            }
            self.containers.values_mut().for_each(Container::drop_stalled_taps);
        }
        let _ = fs::remove_file(SOCKET);
        if let Some(requester) = self.ending {
            self.connections.answer(requester, &Answer::Done, Vec::new());
            self.connections.finish();
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        self.ending.is_some() && self.launches.is_empty() && self.containers.values().all(Container::has_ended)
    }

    /// Waits for something to happen.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let mut watched: Vec<(Source, BorrowedFd<'_>, PollFlags)> = vec![
            (Source::Listener, self.listener.as_fd(), PollFlags::POLLIN),
            (Source::Signals, self.signals.as_fd(), PollFlags::POLLIN),
        ];
        self.connections.watch(&mut watched);
        self.launches.watch(&mut watched);
        let mut waiting = false;
        for (id, container) in &self.containers {
            waiting |= container.watch(id, &mut watched);
        }
        let mut fds: Vec<PollFd<'_>> = watched.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        let timeout = if waiting { PollTimeout::from(1000_u16) } else { PollTimeout::NONE };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
        Ok(watched.iter().zip(ready).filter(|(_, ready)| *ready).map(|((source, ..), _)| source.clone()).collect())
    }

    fn dispatch(&mut self, source: Source) {
        match source {
            Source::Listener => self.connections.accept(&self.listener),
            Source::Signals => {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.reap();
            }
            Source::Connection(id) => self.serve_connection(id),
            Source::Launch(pid) => self.settle_if_done(pid),
            Source::Output(id, side) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.read_output(side, &mut self.chunk);
                }
            }
            Source::Tap(id) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.flush_taps();
                }
            }
        }
    }

    fn launcher(&self) -> Direct<'_> {
        Direct { hierarchies: &self.hierarchies, namespaces: &self.namespaces, capabilities: self.capabilities }
    }
}

/// Standard streams that belong to nobody; panics go to a file.
fn detach_streams() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let log = OpenOptions::new().create(true).append(true).open("shim.log")?;
    sys::set_standard_stream(&null, 0)?;
    sys::set_standard_stream(&null, 1)?;
    sys::set_standard_stream(&log, 2)
}

/// Listens in the current directory, for root only.
fn listen() -> io::Result<UnixListener> {
    let _ = fs::remove_file(SOCKET);
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(SOCKET);
    nix::sys::stat::umask(before);
    let listener = listener.map_err(|e| named(e, "listening on the shim's socket"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn named(error: io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
