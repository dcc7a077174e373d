//! Wires a node: pod network, runtime, kubelet, proxy, DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use host::{Host, Role};
use informer::Informers;
use ipnet::IpNet;
use kubelet::Serving;
use network::Network;
use pki::{Pki, Profile};

use crate::Failure;
use crate::failure::chain;
use crate::instance::Instance;
use crate::pod_network::NodeNetwork;

/// The cluster's DNS domain.
pub(crate) const DOMAIN: &str = "cluster.local";
const DNS_PORT: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What the parts of a node must agree on.
#[derive(Clone)]
pub(crate) struct Node {
    pub instance: Instance,
    pub name: String,
    /// The node's own address towards pods and the API server.
    pub address: IpAddr,
    pub pods: IpNet,
    pub services: IpNet,
    pub dns: IpAddr,
}

impl Node {
    /// Starts the pod network; the node's address exists when this returns.
    pub(crate) async fn start_network(&self, host: &Host) -> Result<Network, Failure> {
        let mut options =
            network::Options::new(&self.instance.id, &self.name, vec![self.pods], self.instance.path("network"));
        options.service_cidrs = vec![self.services];
        Network::start(options, host).await.map_err(|e| {
            Failure::caused("setting up the pod network", &e)
                .next("it needs root, network namespaces, veth and nftables in this kernel")
        })
    }

    /// The embedded runtime.
    pub(crate) fn runtime(&self, network: Network) -> Box<dyn Role> {
        Box::new(runtime::Runtime::new(self.runtime_options(Some(network))))
    }

    /// The embedded runtime without a network: enough for images.
    pub(crate) fn image_store(&self) -> Box<dyn Role> {
        Box::new(runtime::Runtime::new(self.runtime_options(None)))
    }

    /// Where the embedded runtime serves CRI.
    pub(crate) fn cri_socket(&self) -> PathBuf {
        self.runtime_options(None).socket()
    }

    fn runtime_options(&self, network: Option<Network>) -> runtime::Options {
        let mut options = runtime::Options::new(&self.instance.id, &self.instance.data_dir);
        options.network = network.map(|network| Arc::new(NodeNetwork(network)) as Arc<dyn runtime::PodNetwork>);
        options
    }

    /// The kubelet, acting as `system:node:<name>`.
    pub(crate) fn kubelet(
        &self,
        informers: Informers,
        pki: &Pki,
        cri_socket: PathBuf,
    ) -> Result<Box<dyn Role>, Failure> {
        let data_dir = self.instance.path("kubelet");
        let mut options = kubelet::Options::new(&self.name, data_dir, cri_socket, informers);
        options.node_ips = vec![self.address];
        options.log_dir = self.instance.path("logs/pods");
        options.cgroup_root = cgroup_root(&self.instance);
        options.dns = kubelet::sandbox::dns::ClusterDns { servers: vec![self.dns], domain: DOMAIN.to_owned() };
        options.labels = BTreeMap::from([("node-role.kubernetes.io/control-plane".to_owned(), String::new())]);
        options.serving = Some(self.serving(pki)?);
        Ok(Box::new(kubelet::Kubelet::new(options)))
    }

    fn serving(&self, pki: &Pki) -> Result<Serving, Failure> {
        let profile = Profile::kubelet_server(&self.name, [self.address.to_string()]);
        let certificate = pki.certificate("kubelet", &profile);
        let certificate = certificate.map_err(|e| Failure::new("preparing the kubelet's certificate", chain(&e)))?;
        Ok(Serving {
            address: SocketAddr::new(self.address, kubelet::PORT),
            certificates: certificate.chain,
            key: certificate.key,
            client_authorities: vec![pki.authority().der().clone()],
        })
    }

    /// Services on this node.
    pub(crate) fn proxy(&self, informers: Informers) -> Box<dyn Role> {
        Box::new(proxy::Proxy::new(proxy::Options {
            informers,
            node_name: self.name.clone(),
            instance: self.instance.id.clone(),
            cluster_cidrs: vec![self.pods],
            service_cidrs: vec![self.services],
            // Node ports answer on loopback as well, where a developer looks for them.
            node_ips: vec![self.address, Ipv4Addr::LOCALHOST.into()],
        }))
    }

    /// Cluster DNS on the node's address.
    pub(crate) fn dns(&self, informers: Informers) -> Box<dyn Role> {
        Box::new(dns::Dns::new(dns::Options {
            informers,
            domain: DOMAIN.to_owned(),
            listen: vec![SocketAddr::new(self.address, DNS_PORT)],
            cidrs: vec![self.pods, self.services],
            resolv_conf: RESOLV_CONF.into(),
            publication: Some(dns::Publication { cluster_ip: self.dns }),
        }))
    }
}

/// Below which cgroup the instance's pods stand.
pub(crate) fn cgroup_root(instance: &Instance) -> String {
    format!("/coracle-{}", instance.id)
}

/// This machine's host name in lower case, which is what nodes are called.
pub(crate) fn default_name() -> Result<String, Failure> {
    let what = "naming the node after this machine";
    let name = nix::unistd::gethostname().map_err(|e| Failure::new(what, e).next("give it a name with --node-name"))?;
    Ok(name.to_string_lossy().to_lowercase())
}
