//! A disk in memory.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Disk;

/// Bytes in memory, for tests and clusters that need not survive.
#[derive(Default)]
pub struct MemoryDisk(Mutex<Vec<u8>>);

impl MemoryDisk {
    /// A disk that holds `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(bytes))
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryDisk({} bytes)", self.bytes().len())
    }
}

impl Disk for MemoryDisk {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes();
        out.copy_from_slice(bytes.get(span(offset, out.len())?).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes();
        bytes.get_mut(span(offset, data.len())?).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::StorageFull)?;
        self.bytes().resize(size, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn immediate(&self) -> bool {
        true
    }
}

fn span(offset: u64, length: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let end = start.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(start..end)
}
