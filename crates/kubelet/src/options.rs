//! What a kubelet is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use informer::Informers;
use k8s_openapi::api::core::v1::Taint;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::sandbox::dns::ClusterDns;

/// The port that API servers expect a kubelet on.
pub const PORT: u16 = 10250;

/// Everything a kubelet is told. [`Options::new`] fills in what has a usual value.
#[derive(Debug)]
pub struct Options {
    pub node_name: String,
    /// Addresses of the node; the first is the preferred one.
    pub node_ips: Vec<IpAddr>,
    /// The kubelet's own files: `<data>/kubelet`.
    pub data_dir: PathBuf,
    /// Logs of containers: `<log_dir>/<namespace>_<name>_<uid>/<container>/<n>.log`.
    pub log_dir: PathBuf,
    /// The runtime's socket, without `unix://`.
    pub cri_socket: PathBuf,
    /// Shared caches; their client is the kubelet's way to the API, as `system:node:<name>`.
    pub informers: ClientInformers,
    pub dns: ClusterDns,
    /// Where the HTTPS server listens; `None` runs none.
    pub serving: Option<Serving>,
    /// Labels that the node registers with, beside the well-known ones.
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    pub max_pods: u32,
    /// Below which cgroup pods stand: `/kubepods`, or one with the instance's name.
    pub cgroup_root: String,
    pub resolv_conf: PathBuf,
    pub hosts_file: PathBuf,
    /// What the node says it runs: `v1.36.0+coracle-0.1.0`.
    pub version: String,
}

/// [`Informers`] with a Debug form.
#[derive(Clone)]
pub struct ClientInformers(pub Informers);

impl std::fmt::Debug for ClientInformers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Informers")
    }
}

/// How the kubelet's HTTPS server shows itself and knows its callers.
#[derive(Debug)]
pub struct Serving {
    pub address: SocketAddr,
    pub certificates: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// Authorities of client certificates; callers without one need a token.
    pub client_authorities: Vec<CertificateDer<'static>>,
}

impl Options {
    #[must_use]
    pub fn new(node_name: impl Into<String>, data_dir: PathBuf, cri_socket: PathBuf, informers: Informers) -> Self {
        Self {
            node_name: node_name.into(),
            node_ips: Vec::new(),
            data_dir,
            log_dir: PathBuf::from("/var/log/pods"),
            cri_socket,
            informers: ClientInformers(informers),
            dns: ClusterDns { servers: Vec::new(), domain: "cluster.local".into() },
            serving: None,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            max_pods: 110,
            cgroup_root: "/kubepods".into(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts_file: PathBuf::from("/etc/hosts"),
            version: format!("v1.36.0+coracle-{}", env!("CARGO_PKG_VERSION")),
        }
    }
}
