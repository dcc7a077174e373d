//! What a container sees of file systems.
//!
//! Everything of the host is opened first, as detached copies; then the process moves into the container's root, and
//! only there attaches them. So no path of an image or a pod is ever resolved against the host.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{chdir, pivot_root};

use super::devices::Devices;
use super::{Attempt as _, Failure};
use crate::cgroup::Group;
use crate::server::Namespaces;
use crate::spec::{Container, Mount, Propagation, Rootfs};
use crate::sys::{self, MOUNT_NODEV, MOUNT_READONLY};

const NONE: Option<&str> = None;
const GUARDED: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What the container gets of the host, opened and not yet attached.
pub(super) struct Mounts<'a> {
    binds: Vec<(OwnedFd, &'a Mount)>,
    shm: OwnedFd,
    devices: Devices,
    /// The container's own groups, by hierarchy (v1).
    cgroups: Vec<(OsString, OwnedFd)>,
}

impl<'a> Mounts<'a> {
    /// Opens them. The process must be in a fresh copy of the host's mount namespace.
    pub(super) fn open(container: &'a Container, group: &Group<'_>, namespaces: &Namespaces) -> Result<Self, Failure> {
        let mut sorted: Vec<&Mount> = container.mounts.iter().collect();
        sorted.sort_by_key(|mount| mount.target.components().count());
        let binds = sorted.into_iter().map(|mount| Ok((open_bind(mount, container.privileged)?, mount)));
        let cgroups = group.directories().map(|(name, directory)| {
            let mount = sys::clone_mount(&directory).attempt(|| format!("opening {}", directory.display()))?;
            Ok((name.to_owned(), mount))
        });
        Ok(Self {
            binds: binds.collect::<Result<_, Failure>>()?,
            shm: open_shm(namespaces)?,
            devices: Devices::open(container)?,
            cgroups: cgroups.collect::<Result<_, Failure>>()?,
        })
    }

    /// Moves the process into the container's root, complete but for the root being read-only.
    pub(super) fn enter(&self, container: &Container) -> Result<(), Failure> {
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
            .attempt(|| "making mounts private".into())?;
        enter_root(&container.rootfs)?;
        self.system(container.privileged)?;
        // Before anything of the pod's is there, which could lead these paths, or `/dev/null`, elsewhere. What a bind
        // covers later stays covered.
        container.readonly_paths.iter().try_for_each(|path| make_readonly(path))?;
        container.masked_paths.iter().try_for_each(|path| mask(path))?;
        self.binds.iter().try_for_each(|(mount, bind)| attach_bind(mount, &bind.target))
    }

    /// `/proc`, `/sys`, `/dev` and what is in them.
    fn system(&self, privileged: bool) -> Result<(), Failure> {
        let readonly = if privileged { MsFlags::empty() } else { MsFlags::MS_RDONLY };
        place("proc", "/proc", GUARDED, "")?;
        place("sysfs", "/sys", GUARDED | readonly, "")?;
        self.place_cgroups(readonly)?;
        let nodev = if privileged { MsFlags::empty() } else { MsFlags::MS_NODEV };
        place("tmpfs", "/dev", MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME | nodev, "mode=755,size=65536k")?;
        let no_exec = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        place("devpts", "/dev/pts", no_exec, "newinstance,ptmxmode=0666,mode=0620,gid=5")?;
        // Kernels without message queues exist.
        let _ = place("mqueue", "/dev/mqueue", GUARDED, "");
        attach(&self.shm, Path::new("/dev/shm"))?;
        self.devices.place()
    }

    fn place_cgroups(&self, readonly: MsFlags) -> Result<(), Failure> {
        const ROOT: &str = "/sys/fs/cgroup";
        if self.cgroups.is_empty() {
            return place("cgroup2", ROOT, GUARDED | readonly, "");
        }
        place("tmpfs", ROOT, GUARDED, "mode=755")?;
        for (name, mount) in &self.cgroups {
            set(mount, false, if readonly.is_empty() { 0 } else { MOUNT_READONLY }, MsFlags::empty())?;
            attach(mount, &Path::new(ROOT).join(name))?;
        }
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | GUARDED | readonly;
        mount(NONE, ROOT, NONE, flags, NONE).attempt(|| format!("remounting {ROOT}"))
    }
}

/// Makes the root read-only; mounts below it stay as they are.
pub(super) fn make_root_readonly() -> Result<(), Failure> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NONE, "/", NONE, flags, NONE).attempt(|| "making the root read-only".into())
}

/// Attaches a detached mount at a path in the container, which is made when missing.
pub(super) fn attach(mount: &OwnedFd, target: &Path) -> Result<(), Failure> {
    let what = || format!("mounting on {}", target.display());
    let opened = match open_target(target) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_target(target, is_directory(mount))
                .attempt(|| format!("making the mount point {}", target.display()))?;
            open_target(target)
        }
        opened => opened,
    };
    sys::attach_mount(mount.as_fd(), opened.attempt(what)?.as_fd()).attempt(what)
}

/// Attaches what a pod gives, at a path that the image may have made a link of.
fn attach_bind(mount: &OwnedFd, target: &Path) -> Result<(), Failure> {
    refuse_magic_links(target).attempt(|| format!("mounting on {}", target.display()))?;
    attach(mount, target)
}

/// Links like `/proc/1/root` lead out of the container, and a missing directory would be made there.
pub(super) fn refuse_magic_links(target: &Path) -> io::Result<()> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    // Of a path that does not exist, the part that does decides where it is made.
    for existing in target.ancestors() {
        match openat2(AT_FDCWD, existing, how) {
            Err(Errno::ENOENT) => {}
            opened => return Ok(opened.map(drop)?),
        }
    }
    Ok(())
}

fn is_directory(mount: &OwnedFd) -> bool {
    fstat(mount).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

fn open_target(target: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(target)
}

fn make_target(target: &Path, directory: bool) -> io::Result<()> {
    if directory {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o644).open(target).map(drop)
}

/// A detached copy of what a bind mount shows, with its attributes.
fn open_bind(bind: &Mount, privileged: bool) -> Result<OwnedFd, Failure> {
    let what = || format!("opening the mount source {}", bind.source.display());
    let mount = sys::clone_mount(&bind.source).attempt(what)?;
    let propagation = match bind.propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::HostToContainer => MsFlags::MS_SLAVE,
        // The copy is a peer of its source already, if that is shared; a private source cannot become one here.
        Propagation::Bidirectional => MsFlags::MS_SHARED,
    };
    set(&mount, true, if privileged { 0 } else { MOUNT_NODEV }, propagation)?;
    if bind.readonly {
        set(&mount, bind.recursive_readonly, MOUNT_READONLY, MsFlags::empty())?;
    }
    Ok(mount)
}

fn set(mount: &OwnedFd, recursive: bool, attributes: u64, propagation: MsFlags) -> Result<(), Failure> {
    if attributes == 0 && propagation.is_empty() {
        return Ok(());
    }
    let result = sys::set_mount(mount.as_fd(), recursive, attributes, propagation.bits());
    result.attempt(|| "setting mount attributes (needs Linux 5.12)".into())
}

/// A copy of the sandbox's `/dev/shm`, or of the host's.
fn open_shm(namespaces: &Namespaces) -> Result<OwnedFd, Failure> {
    let what = || "opening the shared memory of the sandbox".into();
    let Some(shm) = &namespaces.shm else {
        return sys::clone_mount(Path::new("/dev/shm")).attempt(what);
    };
    let own = File::open("/proc/self/ns/mnt").attempt(what)?;
    setns(shm.as_fd(), CloneFlags::CLONE_NEWNS).attempt(what)?;
    let mount = sys::clone_mount(Path::new("/")).attempt(what);
    setns(own, CloneFlags::CLONE_NEWNS).attempt(what)?;
    mount
}

/// Mounts the overlay and makes it the root, the old one being gone.
fn enter_root(rootfs: &Rootfs) -> Result<(), Failure> {
    let what = |step: &str| format!("{step} {}", rootfs.mountpoint.display());
    chdir(&rootfs.base).attempt(|| format!("changing to {}", rootfs.base.display()))?;
    let options = overlay_options(rootfs);
    mount(Some("overlay"), &rootfs.mountpoint, Some("overlay"), MsFlags::empty(), Some(options.as_os_str()))
        .attempt(|| what("mounting the overlay on"))?;
    chdir(&rootfs.mountpoint).attempt(|| what("changing to"))?;
    pivot_root(".", ".").attempt(|| what("making the root of"))?;
    umount2(".", MntFlags::MNT_DETACH).attempt(|| "leaving the root of the host".into())?;
    chdir("/").attempt(|| "changing to /".into())
}

/// Volatile, because the upper layer is used for one life of one container and never again: without it, the end of the
/// mount waits until everything written to the disk below, by whomever, has arrived there.
fn overlay_options(rootfs: &Rootfs) -> OsString {
    let mut options = OsString::from("volatile,lowerdir=");
    options.push(rootfs.layers.join(":"));
    for (name, path) in [(",upperdir=", &rootfs.upper), (",workdir=", &rootfs.work)] {
        options.push(name);
        options.push(escaped(path));
    }
    options
}

/// Commas end an option and backslashes escape.
fn escaped(path: &Path) -> OsString {
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b',' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(*byte);
    }
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

/// Mounts a file system of the kernel's, never through a link of the image's: what is to be hidden of it is hidden
/// below `target`.
fn place(kind: &str, target: &str, flags: MsFlags, options: &str) -> Result<(), Failure> {
    let what = || format!("mounting {kind} on {target}");
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(io::Error::other("not a directory in the image")).attempt(what),
        Err(_) => fs::create_dir_all(target).attempt(what)?,
    }
    let options = Some(options).filter(|options| !options.is_empty());
    mount(Some(kind), target, Some(kind), flags, options).attempt(what)
}

fn make_readonly(path: &Path) -> Result<(), Failure> {
    let mount = match sys::clone_mount(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        mount => mount.attempt(|| format!("making {} read-only", path.display()))?,
    };
    set(&mount, true, MOUNT_READONLY, MsFlags::empty())?;
    attach(&mount, path)
}

/// Hides a file behind `/dev/null`, a directory behind an empty one.
fn mask(path: &Path) -> Result<(), Failure> {
    let what = || format!("masking {}", path.display());
    let metadata = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.attempt(what)?,
    };
    if metadata.is_dir() {
        return mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0k")).attempt(what);
    }
    let null: PathBuf = "/dev/null".into();
    attach(&sys::clone_mount(&null).attempt(what)?, path)
}
