//! One owner per directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::OpenError;

/// Makes `dir` if need be and takes its lock, which lasts as long as the returned file is open.
pub(super) fn acquire(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let failed = |e| OpenError::failed(format!("open {}", path.display()), e);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| OpenError::failed(format!("make {}", dir.display()), e))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::Locked { path: dir.to_owned(), owner: owner(&mut file) });
        }
        Err(TryLockError::Error(e)) => return Err(OpenError::failed(format!("lock {}", path.display()), e)),
    }
    sign(&mut file).map_err(failed)?;
    Ok(file)
}

/// Leaves our process id for whoever comes too late.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}
