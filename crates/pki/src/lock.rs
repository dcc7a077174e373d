//! The lock of a file that other programs of Kubernetes change too: a file beside it that must not be there yet.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// What is in a lock file of ours. The kernel's lock on such a file tells whether its maker is alive.
const OURS: &str = "coracle\n";

/// Held until it is dropped; a crash leaves a file that the next one takes over.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Locks the file at `path`.
    ///
    /// # Errors
    /// When somebody else has locked it, or the lock file cannot be made.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let lock = with(path, ".lock");
        let taken = make(&lock, &with(path, &format!(".lock.{}", std::process::id())));
        match taken.and_then(|made| made.map_or_else(|| take_over(&lock), |file| Ok(Some(file)))) {
            Ok(Some(file)) => Ok(Self { path: lock, _file: file }),
            Ok(None) => Err(Error::Locked { path: path.to_owned(), lock }),
            Err(error) => Err(Error::file("locking", path)(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, lock = %self.path.display(), "the lock file stays");
        }
    }
}

/// Makes a lock file that shows under its name with its content, and locked; none when there is one.
fn make(lock: &Path, own: &Path) -> io::Result<Option<File>> {
    let mut file = File::create(own)?;
    let locked = file.write_all(OURS.as_bytes()).and_then(|()| Ok(file.try_lock()?));
    let linked = locked.and_then(|()| fs::hard_link(own, lock));
    fs::remove_file(own)?;
    match linked {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes a lock file over that a crash of ours has left; none when somebody holds it.
fn take_over(lock: &Path) -> io::Result<Option<File>> {
    let mut file = File::open(lock)?;
    let mut content = String::new();
    (&mut file).take(OURS.len() as u64 + 1).read_to_string(&mut content)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Its maker may have removed it meanwhile.
    let stands = fs::metadata(lock).is_ok_and(|there| file.metadata().is_ok_and(|own| own.ino() == there.ino()));
    Ok((stands && content == OURS).then_some(file))
}

fn with(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_outlives_no_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let held = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(Error::Locked { .. })));
        drop(held);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(with(&path, ".lock"), OURS).unwrap();
        let taken_over = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(Error::Locked { .. })));
        drop(taken_over);
        fs::write(with(&path, ".lock"), "").unwrap();
        assert!(matches!(Lock::take(&path), Err(Error::Locked { .. })), "other programs' locks are theirs");
    }
}
