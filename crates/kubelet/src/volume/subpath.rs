//! Parts of volumes as mounts: a path that stays within its volume whatever links a container has put there.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

/// The real path of `sub` below `root`, made as a directory where nothing is there. Fails when it leads out of `root`.
pub fn resolve(root: &Path, sub: &str) -> io::Result<PathBuf> {
    let plain = Path::new(sub).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain {
        return Err(outside(root, sub));
    }
    let root = root.canonicalize()?;
    let mut path = root.clone();
    for part in Path::new(sub).components() {
        path.push(part);
        match std::fs::DirBuilder::new().mode(0o750).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        path = path.canonicalize()?;
        if !path.starts_with(&root) {
            return Err(outside(&root, sub));
        }
    }
    Ok(path)
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
        assert!(resolve(&root, "out/passwd").is_err());
        assert!(resolve(&root, "../x").is_err());
        assert!(resolve(&root, "/etc").is_err());
    }
}
