//! Files that change all at once: content lives in a directory of its own behind the link `..data`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use nix::libc;

use super::payload::{File, Payload};

const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_tmp";

/// Brings `target` to `payload`. Readers see the old files or the new ones, never a mixture. `generation` names the
/// new directory; `own` gives it its owners before anyone sees it.
pub fn write(
    target: &Path,
    payload: &Payload,
    generation: &str,
    own: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let old = current(target);
    if old.as_deref().is_some_and(|old| same(&target.join(old), payload)) {
        return Ok(());
    }
    let name = format!("..{generation}");
    let new = target.join(&name);
    std::fs::create_dir(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
    fill(&new, payload)?;
    own(&new)?;
    let next = target.join(DATA_NEXT);
    discard(&next)?;
    symlink(&name, &next)?;
    if target.join(DATA).symlink_metadata().is_ok_and(|found| found.is_dir()) {
        // no link can be renamed over a directory
        discard(&target.join(DATA))?;
    }
    std::fs::rename(&next, target.join(DATA))?;
    link(target, payload)?;
    prune(target, payload)?;
    match old {
        Some(old) if old != Path::new(&name) => std::fs::remove_dir_all(target.join(old)),
        _ => Ok(()),
    }
}

/// The generation that is shown. A container may have been able to write here, so only a link to a directory of the
/// kind that [`write`] makes counts: what it names is compared, and later removed, with the kubelet's rights.
fn current(target: &Path) -> Option<PathBuf> {
    let name = std::fs::read_link(target.join(DATA)).ok()?;
    let mut parts = name.components();
    let (Some(Component::Normal(only)), None) = (parts.next(), parts.next()) else { return None };
    let bytes = only.as_bytes();
    let known = bytes.len() > 2 && bytes.starts_with(b"..") && bytes == name.as_os_str().as_bytes();
    let directory = || target.join(&name).symlink_metadata().is_ok_and(|found| found.is_dir());
    (known && directory()).then_some(name)
}

/// Removes whatever is at `path`; links are not followed.
fn discard(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        _ => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Refuses paths that would leave the volume.
#[must_use]
pub fn safe(path: &str) -> bool {
    let plain = |component: Component<'_>| matches!(component, Component::Normal(name) if name != "..");
    !path.is_empty() && path.len() <= 4096 && !path.starts_with("..") && Path::new(path).components().all(plain)
}

fn fill(dir: &Path, payload: &Payload) -> io::Result<()> {
    for (path, file) in payload {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut handle = options.write(true).create_new(true).mode(0o600).open(&path)?;
        io::Write::write_all(&mut handle, &file.data)?;
        if let Some(user) = file.user {
            chown(&path, Some(user), None)?;
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// Links every first path component through `..data`.
fn link(target: &Path, payload: &Payload) -> io::Result<()> {
    for name in heads(payload) {
        let path = target.join(&name);
        if path.symlink_metadata().is_err() {
            symlink(Path::new(DATA).join(&name), path)?;
        }
    }
    Ok(())
}

/// Removes links whose content is gone.
fn prune(target: &Path, payload: &Payload) -> io::Result<()> {
    let heads = heads(payload);
    for entry in std::fs::read_dir(target)? {
        let entry = entry?;
        let name = entry.file_name();
        let own = name.to_string_lossy().starts_with("..");
        if !own && entry.file_type()?.is_symlink() && !heads.contains(Path::new(&name)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn heads(payload: &Payload) -> BTreeSet<PathBuf> {
    payload
        .keys()
        .filter_map(|path| Path::new(path).components().next())
        .map(|head| PathBuf::from(head.as_os_str()))
        .collect()
}

/// Whether `dir` already holds exactly `payload`. Modes are not compared: group ownership adds bits to them.
fn same(dir: &Path, payload: &Payload) -> bool {
    // paths compare by their components, so `a/./b` finds `a/b`
    let mut missing: BTreeMap<&Path, &File> = payload.iter().map(|(path, file)| (Path::new(path), file)).collect();
    strike(dir, Path::new(""), &mut missing).unwrap_or(false) && missing.is_empty()
}

/// Takes every file below `dir` out of `missing`. False at the first one that does not belong there.
fn strike(dir: &Path, below: &Path, missing: &mut BTreeMap<&Path, &File>) -> io::Result<bool> {
    for entry in std::fs::read_dir(dir.join(below))? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, below.join(entry.file_name()));
        let fits = match kind.is_dir() {
            true => strike(dir, &path, missing)?,
            false => match missing.remove(path.as_path()).filter(|_| kind.is_file()) {
                Some(file) => holds(&entry.path(), &file.data)?,
                None => false,
            },
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether `path` is a regular file of just this content. Nothing else is opened for reading: a FIFO would block.
fn holds(path: &Path, data: &[u8]) -> io::Result<bool> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || usize::try_from(metadata.len()).ok() != Some(data.len()) {
        return Ok(false);
    }
    let mut found = Vec::with_capacity(data.len());
    file.read_to_end(&mut found)?;
    Ok(found == data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::payload::File;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |data: &str| File { data: data.as_bytes().to_vec(), mode: 0o640, user: None };
        files.iter().map(|(path, data)| ((*path).to_owned(), file(data))).collect()
    }

    fn shown(target: &Path) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(target).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("..") && path.is_file() {
                files.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
        files.sort();
        files
    }

    fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn content_changes_behind_one_link() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path();
        write(target, &payload(&[("a", "1"), ("b", "2"), ("d/e", "3")]), "g1", |_| Ok(())).unwrap();
        assert_eq!(shown(target), pairs(&[("a", "1"), ("b", "2")]));
        assert_eq!(std::fs::read_to_string(target.join("d/e")).unwrap(), "3");
        let mode = std::fs::metadata(target.join("a")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        write(target, &payload(&[("a", "9"), ("c", "4")]), "g2", |_| Ok(())).unwrap();
        assert_eq!(shown(target), pairs(&[("a", "9"), ("c", "4")]));
        assert_eq!(std::fs::read_link(target.join("..data")).unwrap(), Path::new("..g2"));
        assert!(!target.join("..g1").exists() && target.join("d").symlink_metadata().is_err());
    }

    #[test]
    fn the_same_content_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = payload(&[("a", "1"), ("x/y", "2")]);
        write(dir.path(), &files, "g1", |_| Ok(())).unwrap();
        write(dir.path(), &files, "g2", |_| Ok(())).unwrap();
        assert_eq!(std::fs::read_link(dir.path().join("..data")).unwrap(), Path::new("..g1"));
    }

    #[test]
    fn strange_links_are_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, elsewhere) = (dir.path().join("volume"), dir.path().join("elsewhere"));
        std::fs::create_dir(&target).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("a"), "1").unwrap();
        symlink(&elsewhere, target.join("..trap")).unwrap();
        let links = [elsewhere.to_str().unwrap(), "../elsewhere", "..", "..data", "..none", "..trap", "x", "./..g0"];
        for (index, link) in links.into_iter().enumerate() {
            discard(&target.join(DATA)).unwrap();
            symlink(link, target.join(DATA)).unwrap();
            let generation = format!("g{index}");
            write(&target, &payload(&[("a", "1")]), &generation, |_| Ok(())).unwrap();
            assert_eq!(std::fs::read_link(target.join(DATA)).unwrap(), Path::new(&format!("..{generation}")), "{link}");
            assert_eq!(std::fs::read_to_string(elsewhere.join("a")).unwrap(), "1", "{link}");
        }
    }

    #[test]
    fn directories_make_way_for_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("..data/x")).unwrap();
        std::fs::create_dir_all(dir.path().join("..data_tmp/x")).unwrap();
        write(dir.path(), &payload(&[("a", "1")]), "g1", |_| Ok(())).unwrap();
        assert_eq!(shown(dir.path()), pairs(&[("a", "1")]));
    }

    #[test]
    fn only_regular_files_are_compared() {
        let dir = tempfile::tempdir().unwrap();
        let (files, inside) = (payload(&[("a", "1"), ("d/./e", "2")]), dir.path().join("..g1"));
        write(dir.path(), &files, "g1", |_| Ok(())).unwrap();
        assert!(same(&inside, &files));
        std::fs::rename(inside.join("d"), dir.path().join("moved")).unwrap();
        symlink(dir.path().join("moved"), inside.join("d")).unwrap();
        assert!(!same(&inside, &files));
        discard(&inside.join("d")).unwrap();
        std::fs::rename(dir.path().join("moved"), inside.join("d")).unwrap();
        discard(&inside.join("a")).unwrap();
        std::fs::create_dir(inside.join("a")).unwrap();
        assert!(!same(&inside, &files));
        discard(&inside.join("a")).unwrap();
        nix::unistd::mkfifo(&inside.join("a"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!same(&inside, &files));
    }

    #[test]
    fn paths_stay_inside() {
        let outcomes: Vec<bool> =
            ["a", "a/b", "..a", "../a", "a/../b", "/a", "", "a/./b"].iter().map(|path| safe(path)).collect();
        assert_eq!(outcomes, [true, true, false, false, false, false, false, true]);
    }
}
