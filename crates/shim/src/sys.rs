//! System calls that `nix` does not wrap. Everything unsafe about them stays in this file.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;

use nix::unistd::Pid;

/// Mount attributes as `mount_setattr` has them.
pub(crate) const MOUNT_READONLY: u64 = 0x1;
pub(crate) const MOUNT_NODEV: u64 = 0x4;

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const MOVE_MOUNT_FROM_EMPTY_PATH: libc::c_uint = 0x4;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Which process one is after a fork.
pub(crate) enum Fork {
    Parent(Pid),
    Child,
}

/// Forks, with `CLONE_NEW…` flags for the child, and into the cgroup whose directory is given.
///
/// Only for single-threaded programs, in which the child may go on like any other process.
#[expect(unsafe_code, reason = "clone3 has no wrapper")]
pub(crate) fn fork(namespaces: libc::c_int, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    // SAFETY: all-zero is a valid value of this plain structure and means that nothing is asked for.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(namespaces.cast_unsigned());
    args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: without CLONE_VM this is a fork: the child has its own copy of the memory and, the program being
    // single-threaded, no lock in it is held by anybody else.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match check(result)? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid::from_raw(pid))),
    }
}

/// A detached copy of the mounts at and below `path` (or of the mount that `directory` names, with an empty path).
#[expect(unsafe_code, reason = "open_tree has no wrapper")]
pub(crate) fn clone_mount(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE.cast_unsigned();
    // SAFETY: `path` is a C string that lives through the call.
    let fd = check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // SAFETY: a descriptor the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a detached mount at a path, or at the very file that a descriptor names.
#[expect(unsafe_code, reason = "move_mount has no wrapper")]
pub(crate) fn attach_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    const MOVE_MOUNT_TO_EMPTY_PATH: libc::c_uint = 0x40;
    let (from, to, empty) = (mount.as_raw_fd(), target.as_raw_fd(), c"".as_ptr());
    let flags = MOVE_MOUNT_FROM_EMPTY_PATH | MOVE_MOUNT_TO_EMPTY_PATH;
    // SAFETY: both strings are empty C strings, both descriptors are open.
    check(unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, flags) }).map(drop)
}

/// Sets attributes and propagation (`MS_…`, 0 keeps it) of a mount and, maybe, of those below it.
#[expect(unsafe_code, reason = "mount_setattr has no wrapper")]
pub(crate) fn set_mount(mount: BorrowedFd<'_>, recursive: bool, set: u64, propagation: u64) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attr = MountAttr { set, clear: 0, propagation, userns: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (fd, size) = (mount.as_raw_fd(), size_of::<MountAttr>());
    // SAFETY: `attr` is laid out as the kernel's structure of this size and lives through the call.
    check(unsafe { libc::syscall(libc::SYS_mount_setattr, fd, c"".as_ptr(), flags, &raw const attr, size) }).map(drop)
}

/// Sets effective, permitted and inheritable capabilities of this process.
#[expect(unsafe_code, reason = "capset has no wrapper")]
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let half = |shift: u32| Data {
        effective: low(effective >> shift),
        permitted: low(permitted >> shift),
        inheritable: low(inheritable >> shift),
    };
    let header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let data = [half(0), half(32)];
    // SAFETY: version 3 takes a header and two data structures, which live through the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// This process's bounding set; bit n is capability n.
pub(crate) fn bounding_set() -> u64 {
    // The kernel refuses the first capability that it does not know.
    let read = |capability: u32| prctl(libc::PR_CAPBSET_READ, capability.into()).ok();
    let known = (0..u64::BITS).map_while(|capability| Some((capability, read(capability)?)));
    known.filter(|(_, held)| *held == 1).fold(0, |set, (capability, _)| set | 1 << capability)
}

pub(crate) fn drop_bounding(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into()).map(drop)
}

pub(crate) fn raise_ambient(capability: u32) -> io::Result<()> {
    prctl2(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, capability.into()).map(drop)
}

/// Gives this process a session keyring of its own; kernels without keyrings need none.
#[expect(unsafe_code, reason = "keyctl has no wrapper")]
pub(crate) fn new_session_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing is read or written.
    let _ = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, ptr::null::<libc::c_char>()) };
}

/// Switches on the loopback interface of this process's network namespace.
#[expect(unsafe_code, reason = "interface requests have no wrapper")]
pub(crate) fn loopback_up() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request takes an `ifreq`, which lives through the call.
    check_int(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

/// Makes the terminal on `tty` the controlling one of this session.
#[expect(unsafe_code, reason = "TIOCSCTTY has no wrapper")]
pub(crate) fn control_terminal(tty: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes an integer and no memory.
    check_int(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) })
}

/// Makes `fd` the standard stream `number` (0, 1 or 2), which stays open when a program is executed.
#[expect(unsafe_code, reason = "the target is a number, not an owned descriptor")]
pub(crate) fn set_standard_stream<F: AsFd>(fd: &F, number: i32) -> io::Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    if raw == number {
        // SAFETY: the descriptor is open; only its close-on-exec flag is cleared.
        return check_int(unsafe { libc::fcntl(raw, libc::F_SETFD, 0) });
    }
    // SAFETY: replaces one of the three standard streams, which no owned descriptor of ours stands for.
    check_int(unsafe { libc::dup2(raw, number) })
}

/// Executes a program; comes back only with the reason why it could not.
#[expect(unsafe_code, reason = "arrays of C strings are built by hand, to leave the caller's memory as it is")]
pub(crate) fn execute(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer and their strings live through the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Sends a signal by number, real-time ones too. A process that is gone is no error.
#[expect(unsafe_code, reason = "nix knows no real-time signals")]
pub(crate) fn send_signal(pid: i32, signal: i32) {
    // SAFETY: takes integers only.
    unsafe { libc::kill(pid, signal) };
}

/// Ends this process at once: no destructors, no buffers flushed.
#[expect(unsafe_code, reason = "a forked child must not run its parent's destructors")]
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; takes no memory.
    unsafe { libc::_exit(code) }
}

/// Ignores no signal, whatever this process was started with: children take that over, and programs with it.
#[expect(unsafe_code, reason = "resetting handlers touches the whole process")]
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: restores the default action; SIGKILL and SIGSTOP answer with an error, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn prctl(option: libc::c_int, argument: libc::c_ulong) -> io::Result<libc::c_int> {
    prctl2(option, argument, 0)
}

#[expect(unsafe_code, reason = "these prctls have no wrappers")]
fn prctl2(option: libc::c_int, a: libc::c_ulong, b: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: the options used here take integers only.
    check(unsafe { libc::prctl(option, a, b, 0, 0) }.into())
}

pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn low(bits: u64) -> u32 {
    (bits & u64::from(u32::MAX)) as u32
}

fn check(result: libc::c_long) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    libc::c_int::try_from(result).map_err(io::Error::other)
}

fn check_int(result: libc::c_int) -> io::Result<()> {
    check(result.into()).map(drop)
}

/// Closes every descriptor of this process. Only for a process that will open and close no other.
#[expect(unsafe_code, reason = "the owners of the descriptors are not asked")]
pub(crate) fn close_all_descriptors() {
    // SAFETY: the caller uses no descriptor from here on.
    unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
}

/// Sets an extended attribute of a file, not following links.
#[expect(unsafe_code, reason = "extended attributes have no wrapper")]
pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let (path, name) = (c_path(path)?, CString::new(name)?);
    // SAFETY: both strings and the value live through the call, and the length is the value's.
    check_int(unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
}
