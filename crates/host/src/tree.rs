//! Removing directories that others have filled.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Directories that are open at the same time.
const OPEN: usize = 64;
/// How often is looked for what appeared while the rest was removed.
const ROUNDS: usize = 100_000;

/// Removes whatever is at `path`; fine when nothing is. Links are not followed, and it does not matter how deep the
/// directories are: a program in a container can make more of them in each other than can be open at once.
///
/// # Errors
/// When something cannot be removed, a mount point say.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => empty_whole(path).and_then(|()| fs::remove_dir(path)),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn empty_whole(path: &Path) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut raised = 0;
    for _ in 0..ROUNDS {
        let (mut top, anchor) = (Dir::open(path, flags, Mode::empty())?, Dir::open(path, flags, Mode::empty())?);
        let before = raised;
        empty(&mut top, &anchor, 1, &mut raised)?;
        if raised == before {
            return Ok(());
        }
    }
    Err(io::Error::other("directories appear faster than they can be removed"))
}

/// Removes what is in a directory; what lies too deep is raised to the top, where the next round finds it.
fn empty(directory: &mut Dir, top: &Dir, depth: usize, raised: &mut u64) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    for (name, kind) in names {
        if !is_directory(directory, &name, kind)? {
            absent_is_fine(unlinkat(directory.as_fd(), name.as_c_str(), UnlinkatFlags::NoRemoveDir))?;
        } else if depth < OPEN {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mut inner = Dir::openat(directory.as_fd(), name.as_c_str(), flags, Mode::empty())?;
            empty(&mut inner, top, depth + 1, raised)?;
            absent_is_fine(unlinkat(directory.as_fd(), name.as_c_str(), UnlinkatFlags::RemoveDir))?;
        } else {
            *raised += 1;
            let above = format!(".raised-{raised}-{}", std::process::id());
            renameat(directory.as_fd(), name.as_c_str(), top.as_fd(), above.as_str())?;
        }
    }
    Ok(())
}

fn is_directory(directory: &Dir, name: &CStr, kind: Option<Type>) -> io::Result<bool> {
    if let Some(kind) = kind {
        return Ok(kind == Type::Directory);
    }
    let found = fstatat(directory.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

fn absent_is_fine(outcome: nix::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_does_not_matter_and_links_are_not_followed() {
        let dir = std::env::temp_dir().join(format!("coracle-test-tree-{}", std::process::id()));
        let (tree, kept) = (dir.join("tree"), dir.join("kept"));
        fs::create_dir_all(kept.join("inner")).unwrap();
        fs::create_dir_all(&tree).unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("link")).unwrap();
        // Deeper than any path can name and any process can have open.
        let made = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 5000 ]; do mkdir d && cd -P d || exit 1; : > f; i=$((i+1)); done"])
            .current_dir(&tree)
            .status()
            .unwrap();
        let deep = if made.success() { "deep" } else { "less deep: this shell cannot" };
        remove_tree(&tree).unwrap_or_else(|e| panic!("{deep}: {e}"));
        assert!(!tree.exists() && kept.join("inner").exists());
        remove_tree(&tree).unwrap();
        remove_tree(&dir).unwrap();
        assert!(!dir.exists());
    }
}
