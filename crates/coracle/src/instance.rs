//! One cluster on this machine: its data directory, its id, and the lock that says who runs it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Failure;

/// The data directory of the instance that has the plain names.
const DEFAULT_DATA_DIR: &str = "/var/lib/coracle";

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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
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

fn id(data_dir: &Path) -> String {
    if data_dir == Path::new(DEFAULT_DATA_DIR) {
        return "default".to_owned();
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
