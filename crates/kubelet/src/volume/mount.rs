//! Mounts below pod directories.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};

/// Mounts a tmpfs on `path` unless something is mounted there. `limit` is in bytes.
pub fn tmpfs(path: &Path, limit: Option<i64>) -> io::Result<()> {
    mount(path, limit.map(|limit| format!("size={limit}")))
}

/// The same, open to all, and given to `group`, whose new files inherit it.
pub fn scratch(path: &Path, limit: Option<i64>, group: Option<i64>) -> io::Result<()> {
    let size = limit.map(|limit| format!("size={limit}"));
    let owner = group.map_or_else(|| "mode=0777".to_owned(), |group| format!("mode=2777,gid={group}"));
    mount(path, Some(size.into_iter().chain([owner]).collect::<Vec<_>>().join(",")))
}

fn mount(path: &Path, options: Option<String>) -> io::Result<()> {
    if mounts_below(path)?.iter().any(|mounted| mounted == path) {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), flags, options.as_deref()).map_err(io::Error::from)
}

/// Unmounts everything at or below `path`, innermost first.
pub fn unmount_below(path: &Path) -> io::Result<()> {
    for mounted in mounts_below(path)?.iter().rev() {
        match nix::mount::umount2(mounted, MntFlags::MNT_DETACH) {
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Mount points at or below `path`, in mount order.
fn mounts_below(path: &Path) -> io::Result<Vec<PathBuf>> {
    let table = std::fs::read("/proc/self/mountinfo")?;
    let points = table.split(|byte| *byte == b'\n').filter_map(mount_point);
    Ok(points.filter(|point| point.starts_with(path)).collect())
}

/// The fifth field of a mountinfo line.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(unescape(field))))
}

/// Blanks and backslashes are written as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code =
            code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = &tail[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        let line = br"36 35 98:0 / /var/lib/a\040b rw,noatime - tmpfs tmpfs rw";
        assert_eq!(mount_point(line).unwrap(), Path::new("/var/lib/a b"));
        assert_eq!(mount_point(b""), None);
    }
}
