//! What every part of a running kubelet shares.

use std::collections::BTreeMap;
use std::path::PathBuf;

use host::Host;
use informer::Cache;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::container::security::ProfileRoot;
use crate::events::{Level, Recorder};
use crate::options::Options;
use crate::pod::desired::{Desired, Kind, Slot};
use crate::pod::status::NodeFacts;
use crate::registry::Registry;
use crate::runtime::Runtime;
use crate::volume::PodDir;

/// Everything that workers, the node's status and the server have in common.
pub struct Context {
    pub options: Options,
    pub host: Host,
    pub client: kube::Client,
    pub runtime: Runtime,
    pub events: Recorder,
    pub registry: Registry,
    pub services: Cache<Service>,
    pub facts: NodeFacts,
    pub allocatable: BTreeMap<String, Quantity>,
    /// Bytes of memory that the machine has.
    pub memory: i64,
    pub profiles: ProfileRoot,
    /// The node as it was registered, for events about it.
    pub node: Node,
}

impl Context {
    #[must_use]
    pub fn pod_dir(&self, uid: &str) -> PodDir {
        PodDir::new(&self.options.data_dir, uid)
    }

    /// Where the logs of a pod's containers are.
    #[must_use]
    pub fn log_directory(&self, desired: &Desired) -> PathBuf {
        let name = format!("{}_{}_{}", desired.namespace(), desired.name(), desired.uid());
        self.options.log_dir.join(name)
    }

    /// Records an event about a pod as a whole.
    pub fn pod_event(&self, desired: &Desired, level: Level, reason: &'static str, message: impl Into<String>) {
        self.events.pod(&desired.pod, None, level, reason, message.into());
    }

    /// Records an event about one container of a pod.
    pub fn container_event(
        &self,
        desired: &Desired,
        slot: &Slot,
        level: Level,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let list = match slot.kind {
            Kind::Init | Kind::Sidecar => "initContainers",
            Kind::App => "containers",
            Kind::Ephemeral => "ephemeralContainers",
        };
        let field = format!("spec.{list}{{{}}}", slot.name());
        self.events.pod(&desired.pod, Some(field), level, reason, message.into());
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("node", &self.options.node_name).finish_non_exhaustive()
    }
}
