//! What the forked child does on its way to being the container's process.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::pty::{posix_openpt, ptsname_r, unlockpt};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::{Gid, Pid, Uid, chdir, fchown, setgroups, setresgid, setresuid, setsid};

use super::mounts::{self, Mounts};
use super::user::{self, Account};
use super::{Attempt as _, Direct, Failure, Report, Stdio, capability, open, program};
use crate::frame;
use crate::spec::{Container, Process};
use crate::sys;

/// The child's end of the way there.
pub(super) struct Child {
    pub(super) reports: UnixStream,
    pub(super) warnings: Vec<String>,
}

/// Never a value: only the reason for failing comes back, with the means to say so.
type Outcome = Result<Infallible, (UnixStream, Failure)>;

impl Child {
    /// Becomes the first process of a container.
    pub(super) fn container(mut self, launcher: &Direct<'_>, container: &Container, stdio: Stdio) -> Outcome {
        match self.enter_new(launcher, container) {
            Ok(()) => self.run(&container.process, launcher.capabilities, stdio, true),
            Err(failure) => Err((self.reports, failure)),
        }
    }

    /// Becomes a further process of a container.
    pub(super) fn exec(
        mut self,
        launcher: &Direct<'_>,
        container: &Container,
        init: Pid,
        process: &Process,
        stdio: Stdio,
    ) -> Outcome {
        match self.enter_existing(launcher, container, init, process) {
            Ok(()) => self.run(process, launcher.capabilities, stdio, false),
            Err(failure) => Err((self.reports, failure)),
        }
    }

    fn enter_new(&mut self, launcher: &Direct<'_>, container: &Container) -> Result<(), Failure> {
        self.begin(&container.process)?;
        let group = launcher.hierarchies.group(&container.cgroup);
        if launcher.hierarchies.unified() {
            // Born into the group; a namespace made now has it as its root.
            unshare(CloneFlags::CLONE_NEWCGROUP).attempt(|| "making a cgroup namespace".into())?;
        } else {
            group.join()?;
        }
        let mounts = Mounts::open(container, &group, launcher.namespaces)?;
        mounts.enter(container)?;
        let cwd = &container.process.cwd;
        mounts::refuse_magic_links(cwd)
            .and_then(|()| fs::create_dir_all(cwd))
            .attempt(|| format!("making the working directory {}", cwd.display()))?;
        if container.rootfs.readonly {
            mounts::make_root_readonly()?;
        }
        Ok(())
    }

    fn enter_existing(
        &mut self,
        launcher: &Direct<'_>,
        container: &Container,
        init: Pid,
        process: &Process,
    ) -> Result<(), Failure> {
        self.begin(process)?;
        let namespace = |name: &str| open(Path::new(&format!("/proc/{init}/ns/{name}")));
        let mount = namespace("mnt")?;
        if launcher.hierarchies.unified() {
            setns(namespace("cgroup")?, CloneFlags::CLONE_NEWCGROUP).attempt(|| "entering the cgroups".into())?;
        } else {
            launcher.hierarchies.group(&container.cgroup).join()?;
        }
        setns(mount, CloneFlags::CLONE_NEWNS).attempt(|| "entering the mounts of the container".into())?;
        Ok(())
    }

    /// What needs the host's view.
    fn begin(&mut self, process: &Process) -> Result<(), Failure> {
        SigSet::empty().thread_set_mask().attempt(|| "unblocking signals".into())?;
        sys::new_session_keyring();
        umask(Mode::from_bits_truncate(0o022));
        setsid().attempt(|| "making a session".into())?;
        die_with_shim()?;
        let score = process.oom_score_adj.unwrap_or(0);
        if let Err(e) = fs::write("/proc/self/oom_score_adj", score.to_string())
            && process.oom_score_adj.is_some()
        {
            self.warnings.push(format!("setting oom_score_adj to {score}: {e}"));
        }
        Ok(())
    }

    /// Takes on streams, user and capabilities, and executes the program.
    fn run(self, process: &Process, held: u64, stdio: Stdio, first: bool) -> Outcome {
        let Self { reports, warnings } = self;
        let prepared = user::resolve(&process.user, Path::new("/etc/passwd"), Path::new("/etc/group"))
            .and_then(|account| Ok((take_streams(stdio, &account, first)?, account)))
            .and_then(|(terminal, account)| {
                become_user(process, held, &account)?;
                Ok((terminal, account))
            })
            .and_then(|(terminal, account)| Ok((program::find(process, &account.home)?, terminal, account)));
        let (program, terminal, account) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Err((reports, failure)),
        };
        let report = Report::Ready { user: account.identity, warnings };
        if let Err(source) = frame::send(&reports, &report, terminal.as_slice()) {
            return Err((reports, Failure::Io { what: "reporting to the shim".into(), source }));
        }
        drop(terminal);
        let failure = program.execute();
        Err((reports, failure))
    }
}

/// Sets the standard streams. Returns the master side of the terminal, if there is one.
fn take_streams(stdio: Stdio, account: &Account, first: bool) -> Result<Option<OwnedFd>, Failure> {
    match stdio {
        Stdio::Terminal => open_terminal(account, first).map(Some).attempt(|| "opening a terminal".into()),
        Stdio::Streams { stdin, stdout, stderr } => {
            for (number, fd) in [(0, &stdin), (1, &stdout), (2, &stderr)] {
                give_pipe(fd, account);
                sys::set_standard_stream(fd, number).attempt(|| format!("setting stream {number}"))?;
            }
            Ok(None)
        }
    }
}

/// Makes a pipe the user's own, because programs open /dev/stdout anew. Nothing but pipes: others belong to the host.
fn give_pipe(fd: &OwnedFd, account: &Account) {
    let is_pipe = fstat(fd).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO);
    if is_pipe {
        // Where it fails, only opening anew does not work.
        let _ = fchown(fd, Some(Uid::from_raw(account.identity.uid)), Some(Gid::from_raw(account.identity.gid)));
    }
}

fn open_terminal(account: &Account, first: bool) -> io::Result<OwnedFd> {
    let open = |path: &str| OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    unlockpt(&master)?;
    let name = ptsname_r(&master)?;
    let tty = open(&name)?;
    fchown(&tty, Some(Uid::from_raw(account.identity.uid)), None)?;
    if first {
        fs::write("/dev/console", "")?;
        let console = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/dev/console")?;
        sys::attach_mount(sys::clone_mount(Path::new(&name))?.as_fd(), console.as_fd())?;
    }
    sys::control_terminal(tty.as_fd())?;
    for number in 0..3 {
        sys::set_standard_stream(&tty, number)?;
    }
    Ok(master.into())
}

/// Gives up what the process shall not have. Nothing may need privileges after this.
fn become_user(process: &Process, held: u64, account: &Account) -> Result<(), Failure> {
    let identity = &account.identity;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    capability::bound(held & !process.capabilities.bounding).attempt(|| "dropping capabilities".into())?;
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).attempt(|| format!("setting the groups {:?}", identity.groups))?;
    nix::sys::prctl::set_keepcaps(true).attempt(|| "keeping capabilities".into())?;
    setresgid(gid, gid, gid).attempt(|| format!("becoming group {gid}"))?;
    // The directory may be open to root only: other runtimes try both ways too.
    let early = chdir(&process.cwd);
    setresuid(uid, uid, uid).attempt(|| format!("becoming user {uid}"))?;
    early
        .or_else(|_| chdir(&process.cwd))
        .attempt(|| format!("chdir to cwd ({:?}) set in config.json failed", process.cwd))?;
    // A directory of the host's, reached through a descriptor of ours, has no path in here.
    std::env::current_dir().attempt(|| format!("cwd ({:?}) is not in the container", process.cwd))?;
    capability::take(process.capabilities, held).attempt(|| "setting capabilities".into())?;
    if process.no_new_privileges {
        nix::sys::prctl::set_no_new_privs().attempt(|| "setting no_new_privs".into())?;
    }
    // Becoming somebody else has cancelled it.
    die_with_shim()
}

/// Nobody knows of a process whose shim is gone. One that has gone before this is noticed by the report to it.
fn die_with_shim() -> Result<(), Failure> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).attempt(|| "tying a process to its shim".into())
}
