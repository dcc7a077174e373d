//! Who owns the files of a volume.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

const SETGID: u32 = 0o2000;

/// Lets every user write, as fresh scratch space does.
pub fn open_to_all(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
}

/// Gives all below `path` to `group`, readable, and writable unless `read_only`; new files inherit it.
pub fn apply(path: &Path, group: Option<i64>, read_only: bool) -> io::Result<()> {
    match group.and_then(|group| u32::try_from(group).ok()) {
        Some(group) => apply_tree(path, group, read_only),
        None => Ok(()),
    }
}

fn apply_tree(path: &Path, group: u32, read_only: bool) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    lchown(path, None, Some(group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mut mode = metadata.mode() & 0o7777 | if read_only { 0o440 } else { 0o660 };
    if metadata.is_dir() {
        mode |= SETGID | 0o110;
        for entry in std::fs::read_dir(path)? {
            apply_tree(&entry?.path(), group, read_only)?;
        }
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
