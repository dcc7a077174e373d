//! The namespaces of a sandbox. The shim itself lives in those for network, IPC and host name, so that containers are
//! born into them; the others it holds.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
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
        sandbox.sysctls.iter().try_for_each(|(name, value)| set_sysctl(name, value))?;
        fs::create_dir_all(MOUNT_POINT)?;
        let shm = (!sandbox.host_ipc).then(|| make_shm(sandbox.shm_size)).transpose();
        let holder = sandbox.shared_pids.then(hold_pids).transpose()?;
        let pids = holder.map(|holder| File::open(format!("/proc/{holder}/ns/pid")).map(OwnedFd::from)).transpose()?;
        Ok(Self {
            own_pids: File::open("/proc/self/ns/pid")?.into(),
            shm: shm.map_err(|e| named(e, "making shared memory"))?,
            pids,
            holder,
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

fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    // With a slash in it, dots are part of names, as in `net/ipv4/conf/eth0.1/forwarding`.
    let path = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    let what = || format!("setting sysctl {name} to {value:?}");
    if path.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(named(io::ErrorKind::InvalidInput.into(), &what()));
    }
    fs::write(format!("/proc/sys/{path}"), value).map_err(|e| named(e, &what()))
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

/// Forks the first process of a process namespace that containers share.
fn hold_pids() -> io::Result<Pid> {
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    match sys::fork(flags.bits(), None)? {
        Fork::Parent(pid) => Ok(pid),
        Fork::Child => {
            let _ = idle();
            sys::exit_now(1)
        }
    }
}

/// Sees nothing, may nothing, and reaps orphans until it is killed; dies with the shim.
fn idle() -> io::Result<()> {
    const NONE: Option<&str> = None;
    nix::sys::prctl::set_name(c"pause")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("none"), MOUNT_POINT, Some("tmpfs"), MsFlags::MS_RDONLY, NONE)?;
    chdir(MOUNT_POINT)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    sys::close_all_descriptors();
    sys::set_capabilities(0, 0, 0)?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
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
