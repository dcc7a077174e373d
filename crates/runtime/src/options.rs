//! What the runtime is told when it is made.

use std::path::PathBuf;
use std::sync::Arc;

use crate::PodNetwork;

/// Options of the embedded container runtime.
#[derive(Clone)]
pub struct Options {
    /// The instance on this machine: a short lowercase string. Containers without a parent go into the cgroup
    /// `/coracle-<instance>`.
    pub instance: String,
    /// The data directory of the instance; the runtime owns `runtime/` in it.
    pub data: PathBuf,
    /// The shim program, where none is embedded: else `shim` next to the current executable.
    pub shim: Option<PathBuf>,
    /// Without one, pods off the host network have nothing but a loopback interface.
    pub network: Option<Arc<dyn PodNetwork>>,
}

impl Options {
    /// Options with nothing but the necessary.
    pub fn new(instance: impl Into<String>, data: impl Into<PathBuf>) -> Self {
        Self { instance: instance.into(), data: data.into(), shim: None, network: None }
    }

    /// Where the CRI server listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory().join("cri.sock")
    }

    /// The directory that the runtime owns.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.data.join("runtime")
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("instance", &self.instance).field("data", &self.data).finish_non_exhaustive()
    }
}
