//! What makes a sandbox and a container, as the runtime decides it and the shim carries it out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup;

/// A sandbox: the file `sandbox.json` that a shim is started on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    pub id: String,
    /// Empty leaves the host's name (and its UTS namespace).
    pub hostname: String,
    pub network: Network,
    /// Whether the pod uses the host's IPC namespace and `/dev/shm`.
    pub host_ipc: bool,
    /// Whether containers may share one process namespace, which a process of the sandbox's own then holds.
    pub shared_pids: bool,
    /// Names with dots or slashes, as `sysctl` takes them.
    pub sysctls: BTreeMap<String, String>,
    /// The cgroup that the shim itself goes into; empty leaves it where it is.
    pub cgroup: String,
    /// Bytes of the shared `/dev/shm`.
    pub shm_size: u64,
}

/// Where a sandbox gets its network namespace from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The host's.
    Host,
    /// A new one with nothing but a loopback interface.
    #[default]
    Loopback,
    /// The one that this file is a handle of.
    Path(PathBuf),
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub id: String,
    /// A directory of the container's own on the host; `status.json` appears in it.
    pub directory: PathBuf,
    pub rootfs: Rootfs,
    pub process: Process,
    pub pids: Pids,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    /// Every device of the host, writable sysfs and cgroups, nothing masked.
    pub privileged: bool,
    pub masked_paths: Vec<PathBuf>,
    pub readonly_paths: Vec<PathBuf>,
    pub cgroup: String,
    pub resources: cgroup::Resources,
    /// The log file; none discards the output.
    pub log: Option<PathBuf>,
    /// Whether there is a stdin that can be attached to.
    pub stdin: bool,
}

/// An overlay of image layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// What the layers are relative to; keeps the mount options short.
    pub base: PathBuf,
    /// Unpacked layers, the topmost first.
    pub layers: Vec<String>,
    pub upper: PathBuf,
    pub work: PathBuf,
    /// An empty directory; the mount on it is seen by the container only.
    pub mountpoint: PathBuf,
    pub readonly: bool,
}

/// A process in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The program, searched in the PATH of `env`, and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub user: User,
    pub capabilities: Capabilities,
    pub no_new_privileges: bool,
    pub oom_score_adj: Option<i32>,
    pub tty: bool,
}

/// Who a process runs as, to be resolved in the container's `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `user[:group]`, names or numbers, as images have it; empty is root.
    pub name: String,
    /// Outranks the user in `name`.
    pub uid: Option<u32>,
    /// Outranks the group in `name` and in `/etc/passwd`.
    pub gid: Option<u32>,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Whether the groups that `/etc/group` gives the user are added.
    pub image_groups: bool,
}

/// Who a process was found to run as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// Capability sets; bit n is capability n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Bounding, permitted and effective set.
    pub bounding: u64,
    pub ambient: u64,
}

/// The process namespace of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pids {
    /// Its own.
    #[default]
    Own,
    /// The one that the sandbox holds.
    Sandbox,
    Host,
    /// That of another running container of the sandbox, by its id.
    Container(String),
}

/// A bind mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On the host.
    pub source: PathBuf,
    /// In the container; made when missing.
    pub target: PathBuf,
    pub readonly: bool,
    /// Whether `readonly` holds for mounts below `source` too.
    pub recursive_readonly: bool,
    pub propagation: Propagation,
}

/// How mounts made later travel between host and container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    #[default]
    Private,
    HostToContainer,
    Bidirectional,
}

/// A device of the host made available in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub source: PathBuf,
    pub target: PathBuf,
    /// Some of `r`, `w`, `m`.
    pub access: String,
}
