//! The seam to the pod network: what the runtime asks of it, and nothing more.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;

/// Gives sandboxes network namespaces with addresses.
#[async_trait]
pub trait PodNetwork: Send + Sync + 'static {
    /// A network namespace for the sandbox, ready for use. Asked again for a sandbox it knows, it answers the same.
    async fn attach(&self, sandbox: &NetworkRequest) -> Result<Attachment, NetworkError>;

    /// Frees what [`PodNetwork::attach`] gave. Unknown sandboxes are no error, so that it may be repeated, also after a
    /// restart.
    async fn detach(&self, sandbox: &str) -> Result<(), NetworkError>;

    /// Frees what sandboxes other than `holders` hold: those of an earlier run that nobody knows any more.
    async fn retain(&self, holders: &BTreeSet<String>) -> Result<(), NetworkError>;

    /// Why pods cannot get a network at the moment; none when they can. Becomes the CRI condition `NetworkReady`.
    fn not_ready(&self) -> Option<String> {
        None
    }
}

/// Who needs a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRequest {
    /// The sandbox's id: unique on this machine, also across instances.
    pub sandbox: String,
    pub pod_namespace: String,
    pub pod_name: String,
    pub pod_uid: String,
    /// Ports of the pod that the node exposes.
    pub host_ports: Vec<HostPort>,
}

/// A port of the node that leads to a port of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub protocol: cri::Protocol,
    pub host_port: u16,
    pub container_port: u16,
    /// None means every address of the node.
    pub host_address: Option<IpAddr>,
}

/// The network of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// A file that `setns` takes: `/run/netns/…`.
    pub netns: PathBuf,
    /// The pod's addresses, the first one first.
    pub addresses: Vec<IpAddr>,
}

/// Why the pod network could not do what was asked; the text says what was tried.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(pub String);
