//! What the pod network of one node is made of.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::Error;
use crate::cidr::first_address;

/// How many ready namespaces are kept by default.
const POOL: usize = 8;
/// Bytes; what an Ethernet link carries.
const MTU: u32 = 1500;
/// Smallest range that still has a gateway and a pod address.
const MIN_HOST_BITS: u8 = 2;

/// The pod network of one node. Build it with [`Options::new`] and change the fields that differ.
#[derive(Debug, Clone)]
pub struct Options {
    /// Short lowercase id that keeps several instances on one machine apart.
    pub instance: String,
    pub node_name: String,
    /// The addresses of this node's pods: one IPv4 range, one IPv6 range, or one of each.
    pub pod_cidrs: Vec<IpNet>,
    /// The pods of all nodes: traffic to them keeps its source address. The node's own ranges by default.
    pub cluster_cidrs: Vec<IpNet>,
    /// Service addresses: the IPv4 ones are routed so that this host reaches them even without a default route.
    pub service_cidrs: Vec<IpNet>,
    /// Bytes.
    pub mtu: u32,
    /// Where leases and namespaces are kept; survives restarts.
    pub state_dir: PathBuf,
    /// How many namespaces are kept ready.
    pub pool: usize,
}

impl Options {
    pub fn new(instance: &str, node_name: &str, pod_cidrs: Vec<IpNet>, state_dir: PathBuf) -> Self {
        Self {
            instance: instance.into(),
            node_name: node_name.into(),
            cluster_cidrs: pod_cidrs.clone(),
            pod_cidrs,
            service_cidrs: Vec::new(),
            mtu: MTU,
            state_dir,
            pool: POOL,
        }
    }

    /// The node's own addresses towards its pods: the first of every pod range.
    #[must_use]
    pub fn gateways(&self) -> Vec<IpAddr> {
        self.pod_cidrs.iter().map(first_address).collect()
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let fail = |why: String| Err(Error::Options(why));
        if self.instance.is_empty() || !self.instance.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return fail(format!("instance {:?} is not made of lowercase letters and digits", self.instance));
        }
        let v4 = self.pod_cidrs.iter().filter(|cidr| cidr.addr().is_ipv4()).count();
        if self.pod_cidrs.is_empty() || v4 > 1 || self.pod_cidrs.len() - v4 > 1 {
            return fail(format!(
                "{} pod ranges given, at most one of each IP family is possible",
                self.pod_cidrs.len()
            ));
        }
        match self.pod_cidrs.iter().find(|cidr| cidr.max_prefix_len() - cidr.prefix_len() < MIN_HOST_BITS) {
            Some(small) => fail(format!("pod range {small} is too small for a gateway and a pod")),
            None => Ok(()),
        }
    }
}
