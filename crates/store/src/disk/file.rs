//! A disk that is a file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;

use super::Disk;

/// A file whose space is allocated before it is used, so that a full file system shows before anything is half written.
#[derive(Debug)]
pub struct FileDisk(File);

impl FileDisk {
    /// Opens the file at `path`, creating it, readable by its owner only.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self(file))
    }
}

impl Disk for FileDisk {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        let present = self.size()?;
        if size > present {
            reserve(&self.0, present, size - present)?;
        }
        self.0.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Allocates blocks where the file system can; one that cannot (`EOPNOTSUPP`) allocates on writing.
fn reserve(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return Err(io::ErrorKind::FileTooLarge.into());
    };
    match posix_fallocate(file, offset, length) {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
