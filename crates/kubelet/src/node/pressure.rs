//! How close the machine is to running out of something.

use std::path::Path;

use super::machine::{disk, line, meminfo_bytes, text};

/// Less memory than this is pressure, in bytes.
const MIN_MEMORY: u64 = 100 << 20;
/// Less than this part of the disk is pressure, in hundredths, if it is also less than [`MIN_DISK`]: a tenth of a large
/// disk is plenty, and a laptop that is nearly full must still take pods.
const MIN_DISK_PERCENT: u64 = 10;
/// In bytes.
const MIN_DISK: u64 = 1 << 30;
/// Fewer process ids than this are pressure.
const MIN_PIDS: u64 = 512;

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Bytes.
    pub memory: u64,
    /// Bytes.
    pub disk: u64,
    pub disk_size: u64,
    pub pids: u64,
}

/// What is short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    pub memory: bool,
    pub disk: bool,
    pub pids: bool,
}

impl Left {
    /// Measures. What cannot be measured counts as plenty.
    #[must_use]
    pub fn measure(data: &Path) -> Self {
        let (disk_size, disk) = disk(data).unwrap_or((0, 0));
        let limit: u64 = line("/proc/sys/kernel/pid_max").parse().unwrap_or(u64::MAX);
        // the fourth field of loadavg is running/all tasks
        let tasks =
            text("/proc/loadavg").split_whitespace().nth(3).and_then(|field| field.split('/').nth(1)?.parse().ok());
        Self {
            memory: meminfo_bytes(&text("/proc/meminfo"), "MemAvailable").unwrap_or(u64::MAX),
            disk,
            disk_size,
            pids: limit.saturating_sub(tasks.unwrap_or(0)),
        }
    }

    #[must_use]
    pub fn pressure(&self) -> Pressure {
        Pressure {
            memory: self.memory < MIN_MEMORY,
            disk: self.disk < MIN_DISK
                && self.disk.saturating_mul(100) < self.disk_size.saturating_mul(MIN_DISK_PERCENT),
            pids: self.pids < MIN_PIDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        let plenty = Left { memory: 1 << 30, disk: 50, disk_size: 100, pids: 10_000 };
        assert_eq!(plenty.pressure(), Pressure::default());
        let large = Left { disk: 20 << 30, disk_size: 250 << 30, ..plenty };
        assert_eq!(large.pressure(), Pressure::default());
        let short = Left { memory: 99 << 20, disk: 9, disk_size: 100, pids: 511 };
        assert_eq!(short.pressure(), Pressure { memory: true, disk: true, pids: true });
    }
}
