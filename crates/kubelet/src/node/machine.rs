//! What the machine is, as the kernel and the distribution tell it.

use std::path::Path;

/// Facts that do not change while the machine runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    pub cpus: u32,
    /// Bytes.
    pub memory: u64,
    /// Size of the file system that pods write to, in bytes.
    pub disk: u64,
    pub hostname: String,
    pub kernel: String,
    pub os_image: String,
    pub machine_id: String,
    pub system_uuid: String,
    pub boot_id: String,
    /// As Go spells it: `amd64`, `arm64`.
    pub architecture: &'static str,
}

impl Machine {
    /// Reads the facts; `data` lies on the disk that counts. What cannot be read is left empty.
    #[must_use]
    pub fn read(data: &Path) -> Self {
        let meminfo = text("/proc/meminfo");
        Self {
            cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
            memory: meminfo_bytes(&meminfo, "MemTotal").unwrap_or(0),
            disk: disk(data).map_or(0, |(size, _)| size),
            hostname: line("/proc/sys/kernel/hostname"),
            kernel: line("/proc/sys/kernel/osrelease"),
            os_image: os_image(&text("/etc/os-release")),
            machine_id: line("/etc/machine-id"),
            system_uuid: line("/sys/class/dmi/id/product_uuid"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            architecture: architecture(),
        }
    }
}

/// Size and free space of the file system at `path`, in bytes.
#[must_use]
pub fn disk(path: &Path) -> Option<(u64, u64)> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    let unit = found.fragment_size();
    Some((found.blocks() * unit, found.blocks_available() * unit))
}

/// One line of `/proc/meminfo`, in bytes.
#[must_use]
pub fn meminfo_bytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

pub(super) fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

pub(super) fn line(path: &str) -> String {
    text(path).trim().to_owned()
}

fn os_image(os_release: &str) -> String {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts() {
        assert_eq!(meminfo_bytes("MemTotal:       24684084 kB\nMemFree: 1 kB\n", "MemTotal"), Some(24_684_084 * 1024));
        assert_eq!(meminfo_bytes("x", "MemTotal"), None);
        assert_eq!(os_image("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"), "Debian GNU/Linux 12");
        let machine = Machine::read(Path::new("/"));
        assert!(machine.cpus > 0 && machine.memory > 0 && machine.disk > 0, "{machine:?}");
    }
}
