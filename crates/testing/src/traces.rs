//! What a cluster has on the machine at a moment: processes, groups, files, mounts, links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Machine;

/// Characters of the names of sandboxes and containers.
const ID: usize = 64;

/// What there is of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Processes of containers: number and start, with the container.
    pub processes: BTreeMap<(i32, u64), String>,
    /// Processes that hold sandboxes.
    pub shims: BTreeSet<i32>,
    /// By id, as the runtime has them on disk.
    pub sandboxes: BTreeSet<String>,
    pub containers: BTreeSet<String>,
    /// Sandboxes that hold an address, and the network namespace that they hold.
    pub leases: BTreeMap<String, String>,
    /// Network namespaces, held or ready for use.
    pub namespaces: BTreeSet<String>,
    /// Host ends of pods' links.
    pub links: usize,
    /// Mount points below the data directory, relative to it.
    pub mounts: BTreeSet<PathBuf>,
    /// Names of control groups.
    pub cgroups: BTreeSet<String>,
    /// Uids of pods that the kubelet has files of, and of those that have logs.
    pub pods: BTreeSet<String>,
    pub logs: BTreeSet<String>,
}

impl Traces {
    /// Looks at the instance in `data_dir`, which runs on `machine`.
    #[must_use]
    pub fn of(data_dir: &Path, machine: &Machine) -> Self {
        let root = cgroup_root(data_dir);
        let mut traces = Self {
            sandboxes: names(&data_dir.join("runtime/sandboxes")),
            containers: names(&data_dir.join("runtime/containers")),
            leases: leases(&data_dir.join("network/leases")),
            namespaces: names(&data_dir.join("network/netns")),
            links: links(machine),
            mounts: mounts(data_dir),
            pods: names(&data_dir.join("kubelet/pods")),
            logs: names(&data_dir.join("logs/pods"))
                .iter()
                .filter_map(|name| name.rsplit('_').next())
                .map(str::to_owned)
                .collect(),
            ..Self::default()
        };
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let roots = hierarchies.map(|entry| entry.path().join(&root)).chain([Path::new("/sys/fs/cgroup").join(&root)]);
        roots.for_each(|root| traces.add_groups(&root));
        traces
    }

    fn add_groups(&mut self, group: &Path) {
        let Ok(entries) = fs::read_dir(group) else { return };
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for pid in listed.lines().filter_map(|line| line.parse().ok()) {
            if name == "shims" {
                self.shims.extend(is_shim(pid).then_some(pid));
            } else if let Some(start) = start(pid) {
                self.processes.insert((pid, start), name.clone());
            }
        }
        self.cgroups.insert(name);
        entries.flatten().filter(|entry| entry.path().is_dir()).for_each(|entry| self.add_groups(&entry.path()));
    }

    /// What is there without the given pods and containers wanting it; and what they lack.
    #[must_use]
    pub fn faults(&self, pods: &BTreeSet<String>, containers: &BTreeSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |holds: bool, what: String| faults.extend((!holds).then_some(what));
        let with_processes: BTreeSet<String> = self.processes.values().cloned().collect();
        expect(self.containers == *containers, format!("containers {:?}, wanted {containers:?}", self.containers));
        expect(with_processes == *containers, format!("processes in {with_processes:?}, wanted {containers:?}"));
        expect(self.sandboxes.len() == pods.len(), format!("sandboxes {:?} for pods {pods:?}", self.sandboxes));
        expect(self.shims.len() == self.sandboxes.len(), format!("shims {:?}", self.shims));
        let holders: BTreeSet<String> = self.leases.keys().cloned().collect();
        expect(holders == self.sandboxes, format!("leases {holders:?} for sandboxes {:?}", self.sandboxes));
        let held = self.leases.values().all(|slot| self.namespaces.contains(slot));
        expect(held, format!("leases {:?}, namespaces {:?}", self.leases, self.namespaces));
        expect(self.links == self.namespaces.len(), format!("{} links, namespaces {:?}", self.links, self.namespaces));
        let stray: Vec<_> = self.mounts.iter().filter(|mount| !self.wants_mount(mount, pods)).collect();
        expect(stray.is_empty(), format!("mounts {stray:?}"));
        let wanted = |name: &&String| match name.strip_prefix("pod") {
            Some(uid) => pods.contains(uid),
            None => name.len() != ID || containers.contains(*name),
        };
        let stray: Vec<_> = self.cgroups.iter().filter(|name| !wanted(name)).collect();
        expect(stray.is_empty(), format!("control groups {stray:?}"));
        expect(self.pods == *pods, format!("files of pods {:?}, wanted {pods:?}", self.pods));
        expect(self.logs == *pods, format!("logs of pods {:?}, wanted {pods:?}", self.logs));
        faults
    }

    fn wants_mount(&self, mount: &Path, pods: &BTreeSet<String>) -> bool {
        let mut parts = mount.iter().map(|part| part.to_string_lossy().into_owned());
        match [parts.next(), parts.next(), parts.next()] {
            [Some(network), Some(_), Some(slot)] if network == "network" => self.namespaces.contains(&slot),
            [Some(kubelet), Some(_), Some(uid)] if kubelet == "kubelet" => pods.contains(&uid),
            _ => false,
        }
    }
}

/// The instance's control group, as the program names it.
#[must_use]
pub fn cgroup_root(data_dir: &Path) -> String {
    let path = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    format!("coracle-{}", hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..4]))
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn leases(directory: &Path) -> BTreeMap<String, String> {
    let files = names(directory).into_iter().filter_map(|name| fs::read(directory.join(name)).ok());
    let values = files.filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    values.map(|value| (text(&value["sandbox"]), text(&value["slot"]))).collect()
}

fn links(machine: &Machine) -> usize {
    let listed = machine.command("cat").arg("/proc/net/dev").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&listed).lines().filter(|line| line.trim_start().starts_with("cor")).count()
}

fn mounts(data_dir: &Path) -> BTreeSet<PathBuf> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1));
    points.filter_map(|point| Path::new(point).strip_prefix(data_dir).ok()).map(Path::to_owned).collect()
}

/// The one that holds a sandbox: not the process that starts it, and not the one that holds process numbers.
fn is_shim(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("shim")) && start(pid).is_some()
}

/// When a process started, in ticks since boot; none for one that has ended, reaped or not.
fn start(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
