//! One cluster on this machine: its data directory, its id, and the lock that says who runs it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Failure;

/// The data directory of the instance that has the plain names.
pub(crate) const DEFAULT_DATA_DIR: &str = "/var/lib/coracle";

/// The id of the instance there.
const DEFAULT_ID: &str = "default";

/// What Coracle writes into a data directory; everything else in it is somebody else's.
const OURS: &[&str] = &[
    "instance.json",
    "kubeconfig",
    "kubeconfigs.json",
    "kubelet",
    "logs",
    "network",
    "pki",
    "run",
    "runtime",
    "store",
];

/// A data directory may be a file system of its own.
const MADE_WITH_FILE_SYSTEMS: &str = "lost+found";

/// What nobody else writes: one of these tells a data directory from one that has the same names in it.
const SIGNS: &[&str] =
    &["instance.json", "kubeconfigs.json", "network/leases", "pki/ca.crt", "run/lock", "runtime/layers"];

/// An instance: everything it writes stands below its data directory, everything it makes in the kernel carries its id.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Short and lower case; part of names of links, tables and cgroups.
    pub id: String,
    pub data_dir: PathBuf,
}

impl Instance {
    /// The instance of a data directory, which is made (0700) if it is not there.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Failure> {
        let failed = |e| Failure::new(format!("making the data directory {}", data_dir.display()), e);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(data_dir.join("run"))
            .map_err(|e| failed(e).next("choose another with --data-dir, or run as root"))?;
        let data_dir = data_dir.canonicalize().map_err(failed)?;
        Ok(Self { id: id(&data_dir), data_dir })
    }

    /// The instance of a data directory that may be gone; makes nothing.
    pub(crate) fn at(data_dir: &Path) -> Result<Self, Failure> {
        let data_dir = resolved(data_dir).map_err(|e| Failure::new(format!("finding {}", data_dir.display()), e))?;
        Ok(Self { id: id(&data_dir), data_dir })
    }

    /// The name of its cluster, user and context in kubeconfigs.
    pub(crate) fn context(&self) -> String {
        match self.id.as_str() {
            DEFAULT_ID => "coracle".to_owned(),
            id => format!("coracle-{id}"),
        }
    }

    /// Whether the names of what it makes cannot be those of another machine's instance: they tell the directory.
    pub(crate) fn has_own_names(&self) -> bool {
        self.id != DEFAULT_ID
    }

    /// Refuses a data directory with anything in it that Coracle did not write.
    pub(crate) fn refuse_foreign(&self) -> Result<(), Failure> {
        let (shown, what) = (self.data_dir.display(), format!("removing the cluster in {}", self.data_dir.display()));
        let entries = match fs::read_dir(&self.data_dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Failure::new(what, e)),
        };
        let names = entries.map(|entry| entry.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>();
        let mut names = names.map_err(|e| Failure::new(&what, e))?;
        names.sort();
        names.retain(|name| name != MADE_WITH_FILE_SYSTEMS && !OURS.iter().any(|ours| name == ours));
        if let Some(foreign) = names.first() {
            return Err(Failure::new(what, format!("it holds {}, which is not Coracle's", foreign.display()))
                .next("move it elsewhere, or name the directory that `coracle up` was given with --data-dir"));
        }
        let signed = SIGNS.iter().any(|sign| self.path(sign).exists());
        if signed || is_hollow(&self.data_dir) {
            return Ok(());
        }
        Err(Failure::new(what, "nothing in it tells that Coracle wrote it")
            .next(format!("if it did, remove {shown} by hand after this: rm -r {shown}")))
    }

    /// Whether there is a directory to remove: one that is a mount point counts with something of ours in it only.
    pub(crate) fn has_files(&self) -> bool {
        let ours = OURS.iter().any(|name| self.data_dir.join(name).symlink_metadata().is_ok());
        ours || (self.data_dir.is_dir() && !is_mount_point(&self.data_dir))
    }

    /// Removes what Coracle wrote, and the directory. What tells whose it is goes last.
    pub(crate) fn remove_files(&self) -> Result<(), Failure> {
        let what = |path: &Path| format!("removing {}", path.display());
        for name in OURS.iter().rev() {
            let path = self.path(name);
            host::remove_tree(&path).map_err(|e| Failure::new(what(&path), e).next("run `coracle reset` again"))?;
        }
        match fs::remove_dir(&self.data_dir) {
            // A mount point stays: whoever mounted it unmounts it.
            Err(e) if !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ResourceBusy) => {
                Err(Failure::new(what(&self.data_dir), e))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        debug_assert!(OURS.iter().any(|ours| Path::new(name).starts_with(ours)), "{name} would survive a reset");
        self.data_dir.join(name)
    }

    /// Takes the instance for this process; held until the guard is dropped, also by a crash.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let what = || format!("taking the cluster in {}", self.data_dir.display());
        let mut file = self.open_lock().map_err(|e| Failure::new(what(), e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = self.holder().map_or_else(String::new, |pid| format!(" (process {pid})"));
                return Err(Failure::new(what(), format!("it is already running{holder}")).next(format!(
                    "`coracle down --data-dir {}` stops it; another --data-dir starts another cluster",
                    self.data_dir.display()
                )));
            }
            Err(TryLockError::Error(e)) => return Err(Failure::new(what(), e)),
        }
        file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(|e| Failure::new(what(), e))?;
        Ok(Lock { _file: file })
    }

    /// The process that runs this instance, if one does.
    pub(crate) fn holder(&self) -> Option<i32> {
        let mut file = self.open_lock().ok()?;
        if file.try_lock_shared().is_ok() {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    /// Returns once no process runs this instance any more.
    pub(crate) fn wait_for_lock(&self) -> Result<(), Failure> {
        let locked = self.open_lock().and_then(|file| file.lock());
        locked.map_err(|e| Failure::new(format!("waiting for the cluster in {}", self.data_dir.display()), e))
    }

    fn open_lock(&self) -> std::io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(self.path("run/lock"))
    }
}

/// The held instance.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Absolute and without links as far as it exists.
pub(crate) fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let found = absolute.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let Some((ancestor, real)) = found else { return Ok(absolute) };
    let rest = absolute.strip_prefix(ancestor).unwrap_or_else(|_| Path::new(""));
    Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

fn is_mount_point(directory: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    directory.parent().is_some_and(|parent| device(parent) != device(directory))
}

/// Whether there is nothing but directories.
fn is_hollow(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries.flatten().all(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_hollow(&entry.path()))
}

fn id(data_dir: &Path) -> String {
    if data_dir == Path::new(DEFAULT_DATA_DIR) {
        return DEFAULT_ID.to_owned();
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    hex::encode(&digest[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ() {
        assert_eq!(id(Path::new(DEFAULT_DATA_DIR)), "default");
        assert_eq!(id(Path::new("/tmp/a")), id(Path::new("/tmp/a")));
        assert_ne!(id(Path::new("/tmp/a")), id(Path::new("/tmp/b")));
        assert_eq!(id(Path::new("/tmp/a")).len(), 8);
    }

    #[test]
    fn directories_of_others_are_refused() {
        let check = |files: &[&str], expected: Option<&str>| {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "x").unwrap();
            }
            let refused = Instance::at(dir.path()).unwrap().refuse_foreign().err().map(|e| e.why);
            assert_eq!(refused.as_deref(), expected, "{files:?}");
        };
        check(&[], None);
        check(&["run/lock", "logs/pods/a"], None);
        check(&["instance.json"], None);
        check(&["instance.json", "notes.txt"], Some("it holds notes.txt, which is not Coracle's"));
        check(&["logs/app.log", "store/a.db"], Some("nothing in it tells that Coracle wrote it"));
        check(&["run/other.pid"], Some("nothing in it tells that Coracle wrote it"));
    }

    #[test]
    fn files_go_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (data, other) = (dir.path().join("data"), dir.path().join("other"));
        fs::create_dir_all(data.join("run")).unwrap();
        fs::create_dir_all(other.join("kept")).unwrap();
        std::os::unix::fs::symlink(&other, data.join("logs")).unwrap();
        std::os::unix::fs::symlink(&other, data.join("run/link")).unwrap();
        let instance = Instance::at(&data).unwrap();
        instance.remove_files().unwrap();
        assert!(!data.exists() && other.join("kept").exists());
        instance.remove_files().unwrap();
    }

    #[test]
    fn directories_are_named_alike_before_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let before = Instance::at(&data).unwrap();
        let opened = Instance::open(&data).unwrap();
        assert_eq!((&before.id, &before.data_dir), (&opened.id, &opened.data_dir));
        std::os::unix::fs::symlink(&data, dir.path().join("link")).unwrap();
        assert_eq!(Instance::at(&dir.path().join("link")).unwrap().id, opened.id);
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let instance = Instance::open(&dir.path().join("x")).unwrap();
        assert_eq!(instance.holder(), None);
        let lock = instance.lock().unwrap();
        assert_eq!(instance.holder(), Some(i32::try_from(std::process::id()).unwrap()));
        let refused = instance.lock().unwrap_err();
        assert!(refused.why.starts_with("it is already running (process "), "{refused}");
        drop(lock);
        instance.lock().unwrap();
    }
}
