//! Keeping logs small: a log that has grown past its size is put aside, and the oldest ones put aside are removed.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// How large a log may grow, in bytes.
pub const MAX_SIZE: u64 = 10 << 20;
/// How many files there may be of one log, the present one included.
pub const MAX_FILES: usize = 5;

/// Puts the log at `path` aside if it is too large. Returns whether the runtime has to open a new one: also when a crash
/// has come between the two.
pub fn rotate(path: &Path, now: Timestamp, max_size: u64, max_files: usize) -> io::Result<bool> {
    match path.metadata() {
        Ok(metadata) if metadata.len() > max_size => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(!rotated(path)?.is_empty()),
        Err(error) => return Err(error),
    }
    let mut old = rotated(path)?;
    old.sort();
    let kept = max_files.saturating_sub(2);
    let surplus = old.len().saturating_sub(kept);
    for path in old.drain(..surplus) {
        std::fs::remove_file(path)?;
    }
    let stamp = now.strftime("%Y%m%d-%H%M%S%3f").to_string();
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{stamp}"));
    std::fs::rename(path, aside)?;
    Ok(true)
}

/// The files that were put aside for the log at `path`.
pub fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{name}.");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logs_are_put_aside_and_the_oldest_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        for second in 0..6 {
            std::fs::write(&path, vec![b'x'; 100]).unwrap();
            let now = Timestamp::from_second(1_000_000 + second).unwrap();
            assert!(!rotate(&path, now, 100, 3).unwrap());
            assert!(rotate(&path, now, 99, 3).unwrap());
        }
        assert!(!path.exists());
        assert_eq!(rotated(&path).unwrap().len(), 2);
        assert!(rotate(&path, Timestamp::UNIX_EPOCH, 1, 3).unwrap(), "it has not been opened anew yet");
        assert!(!rotate(&dir.path().join("1.log"), Timestamp::UNIX_EPOCH, 1, 3).unwrap());
    }
}
