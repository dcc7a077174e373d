//! Files that change all at once: content lives in a directory of its own behind the link `..data`.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use super::payload::Payload;

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
    let old = std::fs::read_link(target.join(DATA)).ok();
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
    let _ = std::fs::remove_file(&next);
    symlink(&name, &next)?;
    std::fs::rename(&next, target.join(DATA))?;
    link(target, payload)?;
    prune(target, payload)?;
    match old {
        Some(old) if old != Path::new(&name) => std::fs::remove_dir_all(target.join(old)),
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
    let all_there =
        payload.iter().all(|(path, file)| std::fs::read(dir.join(path)).is_ok_and(|data| data == file.data));
    all_there && count(dir).is_ok_and(|count| count == payload.len())
}

fn count(dir: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
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
    fn paths_stay_inside() {
        let outcomes: Vec<bool> =
            ["a", "a/b", "..a", "../a", "a/../b", "/a", "", "a/./b"].iter().map(|path| safe(path)).collect();
        assert_eq!(outcomes, [true, true, false, false, false, false, false, true]);
    }
}
