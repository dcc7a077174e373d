//! Cgroups of pods, spelt for the cgroupfs driver: `<root>[/burstable|/besteffort]/pod<uid>`.

use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

use crate::pod::qos::Qos;

const MOUNT: &str = "/sys/fs/cgroup";

/// The cgroup of a pod.
#[must_use]
pub fn pod(root: &str, pod: &Pod) -> String {
    of(root, Qos::of(pod), pod.metadata.uid.as_deref().unwrap_or_default())
}

/// Where the cgroup of a pod may be of which nothing but the uid is known.
pub fn of_uid(root: &str, uid: &str) -> impl Iterator<Item = String> {
    [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort].into_iter().map(move |qos| of(root, qos, uid))
}

fn of(root: &str, qos: Qos, uid: &str) -> String {
    match qos {
        Qos::Guaranteed => format!("{root}/pod{uid}"),
        Qos::Burstable => format!("{root}/burstable/pod{uid}"),
        Qos::BestEffort => format!("{root}/besteffort/pod{uid}"),
    }
}

/// Makes the cgroup and limits it, as far as the machine lets us. Runtimes make what is missing below it.
pub fn prepare(group: &str, limits: &cri::LinuxContainerResources) -> io::Result<()> {
    if unified() {
        return Ok(());
    }
    let knobs = [
        ("cpu", "cpu.shares", limits.cpu_shares),
        ("cpu", "cpu.cfs_quota_us", limits.cpu_quota),
        ("memory", "memory.limit_in_bytes", limits.memory_limit_in_bytes),
    ];
    for (controller, file, value) in knobs.into_iter().filter(|(_, _, value)| *value > 0) {
        let dir = below(&Path::new(MOUNT).join(controller), group);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(file), value.to_string())?;
    }
    Ok(())
}

/// Removes the cgroup in every hierarchy; what still has processes stays.
pub fn remove(group: &str) {
    for directory in directories(group) {
        remove_tree(&directory);
    }
}

/// The directories of a cgroup, one for each hierarchy that has it.
#[must_use]
pub fn directories(group: &str) -> Vec<PathBuf> {
    if group.is_empty() {
        return Vec::new();
    }
    let all = hierarchies().into_iter().map(|hierarchy| below(&hierarchy, group));
    all.filter(|directory| directory.is_dir()).collect()
}

/// Keeps the processes of a cgroup from making more, where the machine can: whoever kills them then gets them all.
pub fn forbid_forks(group: &str) {
    for directory in directories(group) {
        // Only one hierarchy has the file.
        let _ = std::fs::OpenOptions::new()
            .write(true)
            .open(directory.join("pids.max"))
            .and_then(|mut file| io::Write::write_all(&mut file, b"0"));
    }
}

fn unified() -> bool {
    Path::new(MOUNT).join("cgroup.controllers").exists()
}

fn hierarchies() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from(MOUNT)];
    if !unified() {
        let entries = std::fs::read_dir(MOUNT).into_iter().flatten().flatten();
        // Controllers that share a hierarchy have links to it.
        all.extend(entries.filter(|entry| !entry.path().is_symlink()).map(|entry| entry.path()));
    }
    all
}

fn below(hierarchy: &Path, group: &str) -> PathBuf {
    hierarchy.join(group.trim_start_matches('/'))
}

/// Cgroups are removed innermost first; their files go with them.
fn remove_tree(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
