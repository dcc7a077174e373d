//! Which endpoints of a Service port take traffic.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::item::Protocol;

/// An address and port that answers for a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    pub address: IpAddr,
    pub port: u16,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// The endpoints of one Service port and IP family, in order and without doubles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Usable {
    /// On any node.
    pub(crate) all: Vec<Backend>,
    /// On this node.
    pub(crate) local: Vec<Backend>,
    /// The addresses on this node of `all` and `local`.
    pub(crate) local_pods: BTreeSet<IpAddr>,
}

/// How far an endpoint can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fitness {
    Ready,
    /// On its way out, but still answering: better than nobody.
    LastResort,
    Unfit,
}

/// Picks the endpoints of the port `name` from the slices of its Service: ready ones; when there are none, those that
/// still serve while they terminate. That choice is made separately for this node's.
pub(crate) fn usable(
    slices: &[impl AsRef<EndpointSlice>],
    name: &str,
    protocol: Protocol,
    ipv6: bool,
    node: &str,
) -> Usable {
    let mut found: Vec<(Fitness, bool, Backend)> = Vec::new();
    for slice in slices.iter().map(AsRef::as_ref).filter(|slice| is_family(slice, ipv6)) {
        for port in ports(slice, name, protocol) {
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(address) = first_address(endpoint, ipv6) else { continue };
                let local = endpoint.node_name.as_deref() == Some(node);
                found.push((fitness(endpoint), local, Backend { address, port }));
            }
        }
    }
    let all = choose(found.iter().map(|(fitness, _, backend)| (*fitness, *backend)));
    let here = found.iter().filter(|(_, local, _)| *local);
    let local = choose(here.clone().map(|(fitness, _, backend)| (*fitness, *backend)));
    let mut local_pods: BTreeSet<IpAddr> = local.iter().map(|backend| backend.address).collect();
    local_pods.extend(here.filter(|(_, _, backend)| all.binary_search(backend).is_ok()).map(|(_, _, b)| b.address));
    Usable { all, local, local_pods }
}

fn choose(found: impl Iterator<Item = (Fitness, Backend)> + Clone) -> Vec<Backend> {
    let of = |wanted: Fitness| -> BTreeSet<Backend> {
        found.clone().filter(|(fitness, _)| *fitness == wanted).map(|(_, backend)| backend).collect()
    };
    let ready = of(Fitness::Ready);
    let chosen = if ready.is_empty() { of(Fitness::LastResort) } else { ready };
    chosen.into_iter().collect()
}

fn fitness(endpoint: &Endpoint) -> Fitness {
    let conditions = endpoint.conditions.as_ref();
    let condition = |value: Option<Option<bool>>, unset: bool| value.flatten().unwrap_or(unset);
    let ready = condition(conditions.map(|c| c.ready), true);
    let serving = condition(conditions.map(|c| c.serving), true);
    let terminating = condition(conditions.map(|c| c.terminating), false);
    match (ready, serving, terminating) {
        (true, ..) => Fitness::Ready,
        (false, true, true) => Fitness::LastResort,
        _ => Fitness::Unfit,
    }
}

fn is_family(slice: &EndpointSlice, ipv6: bool) -> bool {
    slice.address_type == if ipv6 { "IPv6" } else { "IPv4" }
}

fn ports<'a>(slice: &'a EndpointSlice, name: &'a str, protocol: Protocol) -> impl Iterator<Item = u16> + 'a {
    let alike = move |port: &&k8s_openapi::api::discovery::v1::EndpointPort| {
        port.name.as_deref().unwrap_or_default() == name && Protocol::parse(port.protocol.as_deref()) == Some(protocol)
    };
    slice.ports.iter().flatten().filter(alike).filter_map(|port| u16::try_from(port.port?).ok())
}

/// The API says that only the first address of an endpoint counts.
fn first_address(endpoint: &Endpoint, ipv6: bool) -> Option<IpAddr> {
    endpoint.addresses.first()?.parse().ok().filter(|address: &IpAddr| address.is_ipv6() == ipv6)
}
