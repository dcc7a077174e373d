//! The namespaces of a sandbox. The shim itself lives in those for network, IPC and host name, so that containers are
//! born into them; the others it holds.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, chdir, pivot_root, sethostname};

use super::named;
use crate::spec::{Network, Sandbox};
use crate::sys::{self, Fork};

/// Where roots of namespaces are mounted before they become roots; empty for everybody else.
const MOUNT_POINT: &str = "shm";

/// What a launcher needs of them.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// The shim's own process namespace.
    pub(crate) own_pids: OwnedFd,
    /// A mount namespace that has nothing but the sandbox's `/dev/shm` as its root; none with the host's IPC.
    pub(crate) shm: Option<OwnedFd>,
    /// The process namespace that containers may share, and the process that holds it.
    pub(crate) pids: Option<OwnedFd>,
    pub(super) holder: Option<Pid>,
    /// Open as long as this process lives: the holder looks at it once.
    _tie: Option<OwnedFd>,
}

impl Namespaces {
    /// Makes them and moves this process into them.
    pub(super) fn enter(sandbox: &Sandbox) -> io::Result<Self> {
        enter_network(&sandbox.network)?;
        if !sandbox.host_ipc {
            unshare(CloneFlags::CLONE_NEWIPC).map_err(|e| named(e.into(), "making an IPC namespace"))?;
        }
        if sandbox.network != Network::Host && !sandbox.hostname.is_empty() {
            unshare(CloneFlags::CLONE_NEWUTS).map_err(|e| named(e.into(), "making a UTS namespace"))?;
            sethostname(&sandbox.hostname)
                .map_err(|e| named(e.into(), &format!("setting the host name to {:?}", sandbox.hostname)))?;
        }
        sandbox.sysctls.iter().try_for_each(|(name, value)| set_sysctl(sandbox, name, value))?;
        fs::create_dir_all(MOUNT_POINT)?;
        let shm = (!sandbox.host_ipc).then(|| make_shm(sandbox.shm_size)).transpose();
        let (holder, tie) = sandbox.shared_pids.then(hold_pids).transpose()?.unzip();
        let pids = holder.map(|holder| File::open(format!("/proc/{holder}/ns/pid")).map(OwnedFd::from)).transpose()?;
        Ok(Self {
            own_pids: File::open("/proc/self/ns/pid")?.into(),
            shm: shm.map_err(|e| named(e, "making shared memory"))?,
            pids,
            holder,
            _tie: tie,
        })
    }
}

fn enter_network(network: &Network) -> io::Result<()> {
    match network {
        Network::Host => Ok(()),
        Network::Loopback => {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| named(e.into(), "making a network namespace"))?;
            sys::loopback_up().map_err(|e| named(e, "switching on the loopback interface"))
        }
        Network::Path(path) => {
            let what = format!("entering the network namespace {}", path.display());
            let file = File::open(path).map_err(|e| named(e, &what))?;
            setns(file, CloneFlags::CLONE_NEWNET).map_err(|e| named(e.into(), &what))
        }
    }
}

fn set_sysctl(sandbox: &Sandbox, name: &str, value: &str) -> io::Result<()> {
    let what = || format!("setting sysctl {name} to {value:?}");
    let path = sysctl_path(sandbox, name).map_err(|e| named(e, &what()))?;
    fs::write(format!("/proc/sys/{path}"), value).map_err(|e| named(e, &what()))
}

/// Where a sysctl is below `/proc/sys`; refused unless it belongs to a namespace of the sandbox's own, because any
/// other one is the host's.
fn sysctl_path(sandbox: &Sandbox, name: &str) -> io::Result<String> {
    // With a slash in it, dots are part of names, as in `net/ipv4/conf/eth0.1/forwarding`.
    let path = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a sysctl"));
    }
    let own = match parts.as_slice() {
        ["kernel", name] => !sandbox.host_ipc && is_ipc(name),
        ["fs", "mqueue", _] => !sandbox.host_ipc,
        ["net", _, ..] => sandbox.network != Network::Host,
        _ => false,
    };
    if !own {
        let why = format!("sysctl {name} does not belong to a namespace of the sandbox");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(path)
}

/// Those of `kernel/` that each IPC namespace has for itself.
fn is_ipc(name: &str) -> bool {
    name == "sem" || name.starts_with("shm") || name.starts_with("msg")
}

/// A mount namespace with a fresh tmpfs as its root: no mount on the host, nothing left when the shim dies.
fn make_shm(size: u64) -> io::Result<OwnedFd> {
    const NONE: Option<&str> = None;
    let host = File::open("/proc/self/ns/mnt")?;
    let directory = std::env::current_dir()?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let shm = File::open("/proc/self/ns/mnt")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let point = directory.join(MOUNT_POINT);
    let options = format!("mode=1777,size={size}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("shm"), &point, Some("tmpfs"), flags, Some(options.as_str()))?;
    chdir(&point)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    setns(host, CloneFlags::CLONE_NEWNS)?;
    chdir(&directory)?;
    Ok(shm.into())
}

/// Forks the first process of a process namespace that containers share. What comes with it is to be kept open.
fn hold_pids() -> io::Result<(Pid, OwnedFd)> {
    let (watched, tie) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    match sys::fork(flags.bits(), None)? {
        Fork::Parent(pid) => Ok((pid, tie)),
        Fork::Child => {
            drop(tie);
            let _ = idle(&watched);
            sys::exit_now(1)
        }
    }
}

/// Sees nothing, may nothing, and reaps orphans until it is killed; dies with the shim, whose end of `watched` is open
/// unless the shim is dead already.
fn idle(watched: &OwnedFd) -> io::Result<()> {
    const NONE: Option<&str> = None;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut fds = [PollFd::new(watched.as_fd(), PollFlags::empty())];
    if poll(&mut fds, PollTimeout::ZERO)? > 0 {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    nix::sys::prctl::set_name(c"pause")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("none"), MOUNT_POINT, Some("tmpfs"), MsFlags::MS_RDONLY, NONE)?;
    chdir(MOUNT_POINT)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    sys::close_all_descriptors();
    sys::set_capabilities(0, 0, 0)?;
    let mut children = nix::sys::signal::SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block()?;
    loop {
        children.wait()?;
        while let Ok(status) = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)) {
            if status == nix::sys::wait::WaitStatus::StillAlive {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_hosts_network() -> Sandbox {
        Sandbox { network: Network::Host, ..Sandbox::default() }
    }

    fn with_hosts_ipc() -> Sandbox {
        Sandbox { host_ipc: true, ..Sandbox::default() }
    }

    #[test]
    fn only_sysctls_of_own_namespaces_are_set() {
        use io::ErrorKind::{InvalidInput, PermissionDenied};
        type Case = (fn() -> Sandbox, &'static str, Result<&'static str, io::ErrorKind>);
        let cases: &[Case] = &[
            (Sandbox::default, "kernel.shm_rmid_forced", Ok("kernel/shm_rmid_forced")),
            (Sandbox::default, "kernel/msgmax", Ok("kernel/msgmax")),
            (Sandbox::default, "kernel.sem", Ok("kernel/sem")),
            (Sandbox::default, "fs.mqueue.msg_max", Ok("fs/mqueue/msg_max")),
            (Sandbox::default, "net.core.somaxconn", Ok("net/core/somaxconn")),
            (Sandbox::default, "net/ipv4/conf/eth0.1/forwarding", Ok("net/ipv4/conf/eth0.1/forwarding")),
            (on_hosts_network, "kernel.sem", Ok("kernel/sem")),
            (on_hosts_network, "net.core.somaxconn", Err(PermissionDenied)),
            (with_hosts_ipc, "net.core.somaxconn", Ok("net/core/somaxconn")),
            (with_hosts_ipc, "kernel.shmmax", Err(PermissionDenied)),
            (with_hosts_ipc, "kernel.sem", Err(PermissionDenied)),
            (with_hosts_ipc, "fs.mqueue.msg_max", Err(PermissionDenied)),
            (Sandbox::default, "kernel.core_pattern", Err(PermissionDenied)),
            (Sandbox::default, "kernel.semantics", Err(PermissionDenied)),
            (Sandbox::default, "kernel.shm.deeper", Err(PermissionDenied)),
            (Sandbox::default, "fs.file-max", Err(PermissionDenied)),
            (Sandbox::default, "vm.swappiness", Err(PermissionDenied)),
            (Sandbox::default, "net", Err(PermissionDenied)),
            (Sandbox::default, "", Err(InvalidInput)),
            (Sandbox::default, "net/../kernel/core_pattern", Err(InvalidInput)),
            (Sandbox::default, "net/./core", Err(InvalidInput)),
            (Sandbox::default, "/net/core/somaxconn", Err(InvalidInput)),
            (Sandbox::default, ".net.core.somaxconn", Err(InvalidInput)),
            (Sandbox::default, "net..core", Err(InvalidInput)),
        ];
        for (sandbox, name, expected) in cases {
            let path = sysctl_path(&sandbox(), name).map_err(|e| e.kind());
            assert_eq!(path.as_deref().map_err(|kind| *kind), *expected, "{name}");
        }
        let error = set_sysctl(&Sandbox::default(), "vm.swappiness", "1").unwrap_err();
        assert_eq!(error.kind(), PermissionDenied);
        assert!(error.to_string().contains("sysctl vm.swappiness"), "{error}");
    }
}
