//! Parts of volumes as mounts: a path that stays within its volume whatever links a container has put there.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, mkdirat};

const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// The real path of `sub` below `root`, made as a directory where nothing is there. Fails when it leads out of `root`.
///
/// The kernel keeps the walk inside, whatever containers do meanwhile. What remains is the time until the runtime mounts
/// the path that is returned: a container that shares the volume may put a link into it after this has looked. Closing
/// that takes a bind mount of the handle at a place of the kubelet's own, as upstream does.
pub fn resolve(root: &Path, sub: &str) -> io::Result<PathBuf> {
    let plain = Path::new(sub).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain {
        return Err(outside(root, sub));
    }
    let root = root.canonicalize()?;
    let volume = open(&root, HANDLE, Mode::empty())?;
    let mut reached = volume.try_clone()?;
    let mut path = PathBuf::new();
    for part in Path::new(sub).components().filter(|part| *part != Component::CurDir) {
        make(&reached, Path::new(part.as_os_str()))?;
        path.push(part);
        reached = beneath(&volume, &path).map_err(|error| match error {
            Errno::EXDEV | Errno::ELOOP => outside(&root, sub),
            other => other.into(),
        })?;
    }
    let real = std::fs::read_link(format!("/proc/self/fd/{}", reached.as_raw_fd()))?;
    // something may have been moved out since it was opened
    if real.starts_with(&root) { Ok(real) } else { Err(outside(&root, sub)) }
}

fn make(parent: &OwnedFd, name: &Path) -> io::Result<()> {
    match mkdirat(parent, name, Mode::S_IRWXU | Mode::S_IRGRP | Mode::S_IXGRP) {
        Err(error) if error != Errno::EEXIST => Err(error.into()),
        _ => Ok(()),
    }
}

/// Opens `path` from the volume's root, so that links may lead anywhere in the volume but not out of it.
fn beneath(volume: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(volume, path, OpenHow::new().flags(HANDLE).resolve(resolve))
}

fn outside(root: &Path, sub: &str) -> io::Error {
    let words = format!("subPath {sub:?} is outside of volume {}", root.display());
    io::Error::new(io::ErrorKind::PermissionDenied, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_cannot_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("volume");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::os::unix::fs::symlink("a", root.join("in")).unwrap();
        std::fs::write(root.join("file"), "x").unwrap();
        let real = root.canonicalize().unwrap();
        assert_eq!(resolve(&root, "a/b").unwrap(), real.join("a/b"));
        assert_eq!(resolve(&root, "in/b").unwrap(), real.join("a/b"));
        assert_eq!(resolve(&root, "file").unwrap(), real.join("file"));
        std::fs::create_dir(dir.path().join("beside")).unwrap();
        for (link, target) in [("up", "../beside"), ("a/back", "../a"), ("a/far", "../../beside"), ("loop", "loop")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        assert_eq!(resolve(&root, "a/back/./b").unwrap(), real.join("a/b"));
        for escape in ["up", "up/made", "a/far/made", "in/far", "loop"] {
            assert!(resolve(&root, escape).is_err(), "{escape}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join("beside")).unwrap().count(), 0);
        assert!(resolve(&root, "out/passwd").is_err());
        assert!(resolve(&root, "../x").is_err());
        assert!(resolve(&root, "/etc").is_err());
    }
}
