//! The disk as a narrow trait: a file, memory, or memory that fails on purpose.

mod faulty;
mod file;
mod memory;

use std::fmt::Debug;
use std::io;

pub use faulty::{Faults, FaultyDisk};
pub use file::FileDisk;
pub use memory::MemoryDisk;

/// A flat array of bytes that survives crashes as far as it has been synced.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Fills `out` from `offset`; reading past the end is an error.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes `data` at `offset`, within the present size.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Grows (with zeros, whose space is reserved) or shrinks.
    fn resize(&self, size: u64) -> io::Result<()>;

    /// Returns once everything written before is durable. After a failure nothing may be assumed about it.
    fn sync(&self) -> io::Result<()>;

    /// Whether calls return without waiting for a device, so that an async task may make them itself.
    fn immediate(&self) -> bool {
        false
    }
}
