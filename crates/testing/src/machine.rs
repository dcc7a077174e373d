//! A machine for tests: a network namespace of its own with nothing but loopback, and mounts of its own if asked for.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace that lives as long as this value and the processes in it.
#[derive(Debug, Clone)]
pub struct Machine {
    network: Arc<OwnedFd>,
    mounts: Option<Arc<OwnedFd>>,
}

impl Machine {
    /// Makes the namespace and brings its loopback up. Needs root.
    pub fn new() -> io::Result<Self> {
        // Namespaces belong to threads: a thread of its own moves, so that the caller's stays where it is.
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            loopback_up()?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = made.join().map_err(|_| io::Error::other("the thread that makes the namespace panicked"))??;
        Ok(Self { network: Arc::new(file.into()), mounts: None })
    }

    /// The same with a copy of this host's mounts, where nobody else mounts anything.
    pub fn with_own_mounts() -> io::Result<Self> {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            File::open("/proc/thread-self/ns/mnt")
        });
        let file = made.join().map_err(|_| io::Error::other("the thread that makes the namespace panicked"))??;
        Ok(Self { mounts: Some(Arc::new(file.into())), ..Self::new()? })
    }

    /// A command that will run on this machine.
    #[expect(unsafe_code, reason = "entering a namespace between fork and exec has no safe form")]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let machine = self.clone();
        let enter = move || {
            setns(&*machine.network, CloneFlags::CLONE_NEWNET)?;
            machine.mounts.as_ref().map_or(Ok(()), |mounts| setns(&**mounts, CloneFlags::CLONE_NEWNS))?;
            Ok(())
        };
        // SAFETY: setns is async-signal-safe; the descriptors live as long as the closure.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs `work` on a thread of this machine, for sockets that must be opened inside it.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let network = self.network.clone();
        let thread = std::thread::spawn(move || setns(&*network, CloneFlags::CLONE_NEWNET).map(|()| work()));
        Ok(thread.join().map_err(|_| io::Error::other("the work inside the machine panicked"))??)
    }
}

#[expect(unsafe_code, reason = "interface flags are set by ioctl")]
fn loopback_up() -> io::Result<()> {
    // SAFETY: a plain socket call; the descriptor is owned from here on.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: ifreq is plain data for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = (*byte).cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(libc::IFF_UP as i16);
    // SAFETY: the request outlives the call and has the type that SIOCSIFFLAGS reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_loopback_and_nothing_else() {
        let Ok(machine) = Machine::new() else {
            println!("skipped: making a network namespace needs root");
            return;
        };
        let links = machine.command("cat").arg("/proc/net/dev").output().unwrap();
        let text = String::from_utf8(links.stdout).unwrap();
        let names: Vec<_> = text.lines().skip(2).filter_map(|l| l.split(':').next()).map(str::trim).collect();
        assert!(names.contains(&"lo"), "{text}");
        assert!(!names.iter().any(|n| n.starts_with("eth")), "{text}");
        machine.inside(|| std::net::TcpListener::bind("127.0.0.1:6443").unwrap()).unwrap();
    }
}
