//! Devices of a container: mounts of the host's nodes, which need no right to make nodes; rules for v1 cgroups.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, major, minor, mknod};

use super::mounts::attach;
use super::{Attempt as _, Failure};
use crate::spec::{Container, Device};
use crate::sys;

const USUAL: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// What a privileged container does not get: what it has of its own.
const NOT_COPIED: &[&str] = &["console", "fd", "mqueue", "ptmx", "pts", "shm"];

/// Directories of `/dev` are followed to this depth.
const MAX_DEPTH: usize = 4;

/// A node of the host that a privileged container gets one like.
struct Node {
    path: PathBuf,
    kind: SFlag,
    mode: u32,
    device: u64,
}

/// The devices of a container, opened on the host.
pub(super) struct Devices {
    mounts: Vec<(OwnedFd, PathBuf)>,
    nodes: Vec<Node>,
}

impl Devices {
    pub(super) fn open(container: &Container) -> Result<Self, Failure> {
        let mut nodes = Vec::new();
        if container.privileged {
            collect(Path::new("/dev"), 0, &mut nodes).attempt(|| "listing the devices of the host".into())?;
        }
        let usual = USUAL.iter().map(|name| (Path::new("/dev").join(name), Path::new("/dev").join(name)));
        let given = container.devices.iter().map(|device| (device.source.clone(), device.target.clone()));
        let mounts = usual.chain(given).map(|(source, target)| {
            let mount = sys::clone_mount(&source).attempt(|| format!("opening the device {}", source.display()))?;
            Ok((mount, target))
        });
        Ok(Self { mounts: mounts.collect::<Result<_, Failure>>()?, nodes })
    }

    /// Puts them into the container's `/dev`.
    pub(super) fn place(&self) -> Result<(), Failure> {
        for (target, link) in LINKS {
            symlink(target, link).attempt(|| format!("linking {link}"))?;
        }
        for (mount, target) in &self.mounts {
            attach(mount, target)?;
        }
        for node in &self.nodes {
            node.make().attempt(|| format!("making the device {}", node.path.display()))?;
        }
        Ok(())
    }
}

impl Node {
    fn make(&self) -> io::Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(mknod(&self.path, self.kind, Mode::from_bits_truncate(self.mode), self.device)?)
    }
}

/// Rules of v1 cgroups for devices given to a container.
pub(super) fn rules(devices: &[Device]) -> Result<Vec<String>, Failure> {
    let rule = |device: &Device| {
        let metadata = fs::metadata(&device.source).attempt(|| format!("looking at {}", device.source.display()))?;
        let kind = if metadata.file_type().is_block_device() { 'b' } else { 'c' };
        let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
        Ok(format!("{kind} {major}:{minor} {}", device.access))
    };
    devices.iter().map(rule).collect()
}

fn collect(directory: &Path, depth: usize, nodes: &mut Vec<Node>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if depth == 0 && NOT_COPIED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        // What vanishes meanwhile is none of ours.
        let Ok(metadata) = entry.metadata() else { continue };
        let kind = metadata.file_type();
        if kind.is_dir() && depth < MAX_DEPTH {
            collect(&entry.path(), depth + 1, nodes)?;
        } else if kind.is_block_device() || kind.is_char_device() {
            let kind = if kind.is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
            nodes.push(Node { path: entry.path(), kind, mode: metadata.mode() & 0o7777, device: metadata.rdev() });
        }
    }
    Ok(())
}
