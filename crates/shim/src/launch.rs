//! How a process in a container comes to be: the seam, and our own way of doing it.
//!
//! A launcher forks, and the child makes itself into the container's process: everything it mounts lives in its own
//! mount namespace, so that nothing is left on the host when it dies, in whatever way.

mod capability;
mod child;
mod devices;
mod mounts;
mod program;
mod user;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::cgroup::Hierarchies;
use crate::frame;
use crate::server::Namespaces;
use crate::spec::{Container, Identity, Pids, Process};
use crate::sys::{self, Fork};

/// Makes processes in containers.
pub(crate) trait Launcher {
    /// Forks the first process of a container; `target` is the process whose process namespace is shared, if any.
    fn start(&self, container: &Container, target: Option<Pid>, stdio: Stdio) -> Result<Launched, Failure>;

    /// Forks a further process beside `init`, the first process of `container`.
    fn exec(&self, container: &Container, init: Pid, process: &Process, stdio: Stdio) -> Result<Launched, Failure>;
}

/// The standard streams of a new process.
pub(crate) enum Stdio {
    /// A terminal of the container's, to be opened; its master side comes with [`Report::Ready`].
    Terminal,
    Streams {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
}

/// A process under way. It runs the program once `reports` has ended without [`Report::Failed`].
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) pid: Pid,
    pub(crate) reports: UnixStream,
}

/// What the child says on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// All is set; what follows is the execution of the program.
    Ready { user: Identity, warnings: Vec<String> },
    /// The text says what was attempted on what, and why it failed.
    Failed { message: String },
}

/// Why a process could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// In the words that users know from other runtimes.
    #[error("{0}")]
    Program(String),
}

impl From<crate::cgroup::Error> for Failure {
    fn from(error: crate::cgroup::Error) -> Self {
        let what = error.to_string();
        Self::Io { what, source: error.source }
    }
}

/// Says what was attempted when an operation of the system fails.
pub(crate) trait Attempt<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|source| Failure::Io { what: what(), source: source.into() })
    }
}

/// Makes containers with the kernel's own calls.
pub(crate) struct Direct<'a> {
    pub(crate) hierarchies: &'a Hierarchies,
    pub(crate) namespaces: &'a Namespaces,
    /// Those that this machine's root has.
    pub(crate) capabilities: u64,
}

impl Launcher for Direct<'_> {
    fn start(&self, container: &Container, target: Option<Pid>, stdio: Stdio) -> Result<Launched, Failure> {
        let group = self.hierarchies.group(&container.cgroup);
        group.create()?;
        let mut warnings = group.limit(&container.resources)?;
        if !container.privileged {
            group.allow_devices(&devices::rules(&container.devices)?)?;
        }
        let cgroup = self.born_into(&container.cgroup)?;
        let mut flags = CloneFlags::CLONE_NEWNS;
        let _entered = match &container.pids {
            Pids::Own => {
                flags |= CloneFlags::CLONE_NEWPID;
                None
            }
            Pids::Host => None,
            Pids::Sandbox => self.namespaces.pids.as_ref().map(|pids| self.enter_pids(pids)).transpose()?,
            Pids::Container(_) => target.map(|target| self.enter_pids_of(target)).transpose()?,
        };
        fork(flags, cgroup.as_ref(), |reports| {
            child::Child { reports, warnings: std::mem::take(&mut warnings) }.container(self, container, stdio)
        })
    }

    fn exec(&self, container: &Container, init: Pid, process: &Process, stdio: Stdio) -> Result<Launched, Failure> {
        let cgroup = self.born_into(&container.cgroup)?;
        let _entered = match &container.pids {
            Pids::Host => None,
            _ => Some(self.enter_pids_of(init)?),
        };
        fork(CloneFlags::empty(), cgroup.as_ref(), |reports| {
            child::Child { reports, warnings: Vec::new() }.exec(self, container, init, process, stdio)
        })
    }
}

impl Direct<'_> {
    /// The directory of a group that a child can be born into (v2).
    fn born_into(&self, cgroup: &str) -> Result<Option<File>, Failure> {
        let directory = self.hierarchies.group(cgroup).unified_directory();
        directory.map(|path| open(&path)).transpose()
    }

    fn enter_pids_of(&self, process: Pid) -> Result<EnteredPids<'_>, Failure> {
        let file = open(Path::new(&format!("/proc/{process}/ns/pid")))?;
        self.enter_pids(&file.into())
    }

    /// Has children born in another process namespace until the result is dropped.
    fn enter_pids(&self, pids: &OwnedFd) -> Result<EnteredPids<'_>, Failure> {
        setns(pids.as_fd(), CloneFlags::CLONE_NEWPID).attempt(|| "entering a process namespace".into())?;
        Ok(EnteredPids { own: &self.namespaces.own_pids })
    }
}

/// Has children born in the shim's own process namespace again when dropped.
struct EnteredPids<'a> {
    own: &'a OwnedFd,
}

impl Drop for EnteredPids<'_> {
    fn drop(&mut self) {
        // Going back to one's own namespace needs nothing that entering the other has not needed.
        let _ = setns(self.own.as_fd(), CloneFlags::CLONE_NEWPID);
    }
}

/// Forks; the child runs `body`, which executes a program or says why it cannot.
fn fork(
    flags: CloneFlags,
    cgroup: Option<&File>,
    body: impl FnOnce(UnixStream) -> Result<std::convert::Infallible, (UnixStream, Failure)>,
) -> Result<Launched, Failure> {
    let (ours, theirs) = UnixStream::pair().attempt(|| "making a socket pair".into())?;
    let cgroup = cgroup.map(|file| file.as_fd());
    match sys::fork(flags.bits(), cgroup).attempt(|| "cloning a process".into())? {
        Fork::Parent(pid) => {
            drop(theirs);
            Ok(Launched { pid, reports: ours })
        }
        Fork::Child => {
            drop(ours);
            let Err((reports, failure)) = body(theirs);
            let _ = frame::send::<_, OwnedFd>(&reports, &Report::Failed { message: failure.to_string() }, &[]);
            sys::exit_now(128)
        }
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).attempt(|| format!("opening {}", path.display()))
}
