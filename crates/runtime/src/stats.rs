//! Usage of containers and sandboxes, as CRI has it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use shim::cgroup::{Pressure, Stall, Usage};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Result, blocking};
use crate::image;
use crate::sandbox::Sandbox;

/// Most files counted of a writable layer; beyond, the count stands for at least.
const MAX_FILES: usize = 200_000;

/// Usage of a container.
pub(crate) async fn container(engine: &Engine, container: &Container) -> Result<cri::ContainerStats> {
    let (record, timestamp) = (container.record(), engine.now());
    let config = record.config.unwrap_or_default();
    let usage = match container.is_running() {
        true => engine.hierarchies.group(&record.cgroup).usage(),
        false => Usage::default(),
    };
    let upper = engine.layout.container(&container.id).join("upper");
    let written = blocking({
        let upper = upper.clone();
        move || Ok(disk_usage(&upper))
    })
    .await?;
    Ok(cri::ContainerStats {
        attributes: Some(cri::ContainerAttributes {
            id: record.id,
            metadata: config.metadata,
            labels: config.labels,
            annotations: config.annotations,
        }),
        cpu: Some(cpu(&usage, timestamp)),
        memory: Some(memory(&usage, timestamp)),
        writable_layer: Some(filesystem(&upper, written, timestamp)),
        swap: Some(cri::SwapUsage { timestamp, swap_available_bytes: None, swap_usage_bytes: usage.swap.map(number) }),
        io: usage.io_pressure.map(|pressure| cri::IoUsage { timestamp, psi: Some(psi(pressure)) }),
    })
}

/// Usage of a sandbox: of all in its cgroup, and of its network.
pub(crate) async fn sandbox(engine: &Engine, sandbox: &Sandbox) -> Result<cri::PodSandboxStats> {
    let (record, timestamp) = (sandbox.record(), engine.now());
    let usage = engine.hierarchies.group(&record.cgroup).usage();
    let mut containers = Vec::new();
    let mut traffic = None;
    for found in engine.containers_of(&sandbox.id) {
        if let Some(status) = found.life().status.filter(|status| status.exit.is_none()) {
            traffic = traffic.or_else(|| network(status.pid, timestamp));
        }
        containers.push(container(engine, &found).await?);
    }
    let config = record.config.unwrap_or_default();
    let process_count = usage.processes.map(number);
    Ok(cri::PodSandboxStats {
        attributes: Some(cri::PodSandboxAttributes {
            id: record.id,
            metadata: config.metadata,
            labels: config.labels,
            annotations: config.annotations,
        }),
        linux: Some(cri::LinuxPodSandboxStats {
            cpu: Some(cpu(&usage, timestamp)),
            memory: Some(memory(&usage, timestamp)),
            network: traffic,
            process: Some(cri::ProcessUsage { timestamp, process_count }),
            containers,
            io: usage.io_pressure.map(|pressure| cri::IoUsage { timestamp, psi: Some(psi(pressure)) }),
        }),
    })
}

/// Usage of disk at a path.
pub(crate) fn filesystem(path: &Path, usage: image::Usage, timestamp: i64) -> cri::FilesystemUsage {
    cri::FilesystemUsage {
        timestamp,
        fs_id: Some(cri::FilesystemIdentifier { mountpoint: path.display().to_string() }),
        used_bytes: Some(number(usage.bytes)),
        inodes_used: Some(number(usage.inodes)),
    }
}

/// What the files below a directory take.
pub(crate) fn disk_usage(root: &Path) -> image::Usage {
    let mut usage = image::Usage::default();
    let mut directories = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        // What vanishes meanwhile takes nothing.
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            usage.bytes += metadata.blocks() * 512;
            usage.inodes += 1;
            seen += 1;
            if seen >= MAX_FILES {
                return usage;
            }
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    usage
}

fn number(value: u64) -> cri::UInt64Value {
    cri::UInt64Value { value }
}

fn cpu(usage: &Usage, timestamp: i64) -> cri::CpuUsage {
    cri::CpuUsage {
        timestamp,
        usage_core_nano_seconds: usage.cpu.map(number),
        usage_nano_cores: None,
        psi: usage.cpu_pressure.map(psi),
    }
}

fn memory(usage: &Usage, timestamp: i64) -> cri::MemoryUsage {
    let available = usage.memory_limit.zip(usage.working_set).map(|(limit, used)| limit.saturating_sub(used));
    cri::MemoryUsage {
        timestamp,
        working_set_bytes: usage.working_set.map(number),
        available_bytes: available.map(number),
        usage_bytes: usage.memory.map(number),
        rss_bytes: usage.rss.map(number),
        page_faults: usage.page_faults.map(number),
        major_page_faults: usage.major_page_faults.map(number),
        psi: usage.memory_pressure.map(psi),
    }
}

fn psi(pressure: Pressure) -> cri::PsiStats {
    let data = |stall: Stall| cri::PsiData {
        total: stall.total,
        avg10: stall.averages[0],
        avg60: stall.averages[1],
        avg300: stall.averages[2],
    };
    cri::PsiStats { full: Some(data(pressure.full)), some: Some(data(pressure.some)) }
}

/// Traffic as a process of the sandbox sees it.
fn network(pid: i32, timestamp: i64) -> Option<cri::NetworkUsage> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let mut interfaces: Vec<_> = text.lines().filter_map(interface).filter(|i| i.name != "lo").collect();
    let default =
        interfaces.iter().position(|interface| interface.name == "eth0").map(|index| interfaces.remove(index));
    Some(cri::NetworkUsage { timestamp, default_interface: default, interfaces })
}

/// A line of `/proc/net/dev`: eight numbers received, eight sent.
fn interface(line: &str) -> Option<cri::NetworkInterfaceUsage> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    let field = |index: usize| numbers.get(index).copied().map(number);
    Some(cri::NetworkInterfaceUsage {
        name: name.trim().to_owned(),
        rx_bytes: field(0),
        rx_errors: field(2),
        tx_bytes: field(8),
        tx_errors: field(10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read() {
        let found = interface("  eth0:  100  2 3 0 0 0 0 0  200 4 5 0 0 0 0 0").unwrap();
        let values = [found.rx_bytes, found.rx_errors, found.tx_bytes, found.tx_errors];
        assert_eq!(values.map(|value| value.unwrap().value), [100, 3, 200, 5]);
        assert_eq!(found.name, "eth0");
        assert!(interface("Inter-|   Receive").is_none());
    }
}
