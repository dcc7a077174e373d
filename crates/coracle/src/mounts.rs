//! Volumes that are mounted below the data directory, when their pods are gone.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

/// Where the kernel lists this process's mounts.
const MOUNTS: &str = "/proc/self/mounts";

/// The mount points below `directory`, in the order in which they were mounted.
pub(crate) fn list_below(directory: &Path) -> Vec<PathBuf> {
    below(&fs::read_to_string(MOUNTS).unwrap_or_default(), directory)
}

/// Detaches every mount below `directory`, the deepest first.
pub(crate) fn detach_below(directory: &Path) {
    for point in list_below(directory).iter().rev() {
        if let Err(error) = umount2(point, MntFlags::MNT_DETACH) {
            tracing::warn!(point = %point.display(), %error, "detaching a volume");
        }
    }
}

fn below(listed: &str, directory: &Path) -> Vec<PathBuf> {
    let points = listed.lines().filter_map(|line| line.split(' ').nth(1)).map(unescape);
    points.filter(|point| point != directory && point.starts_with(directory)).collect()
}

/// A path as the list writes it: blanks, tabs, line ends and backslashes as octal numbers.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = (byte == b'\\').then(|| after.get(..3)).flatten();
        let number = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(number.unwrap_or(byte));
        rest = if number.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_below() {
        let listed = "tmpfs /data/kubelet/a tmpfs rw 0 0\ntmpfs /data/kubelet tmpfs rw 0 0\ntmpfs /data/kubelet/b\\040c/d tmpfs rw 0 0\n\
            tmpfs /data/kubelets/x tmpfs rw 0 0\nbroken\n";
        let found = below(listed, Path::new("/data/kubelet"));
        assert_eq!(found, [Path::new("/data/kubelet/a"), Path::new("/data/kubelet/b c/d")]);
    }

    #[test]
    fn odd_escapes_stay() {
        assert_eq!(unescape("/a\\9/b\\"), Path::new("/a\\9/b\\"));
    }
}
