//! What one Service needs of the rule set: a pure function of the Service, its slices and the node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::chain::{Balance, ChainSpec, Guard, Masquerade};
use crate::endpoints::{Backend, Usable, usable};
use crate::item::{FrontKey, Item, Outcome, Protocol};

/// A Service with this label belongs to another proxy.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// Seconds of affinity when the Service does not say.
const AFFINITY: i32 = 10_800;

/// What the rules depend on besides the API's objects.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub name: String,
    /// The addresses on which node ports answer.
    pub addresses: Vec<IpAddr>,
}

/// What one Service needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragment {
    pub frontends: BTreeMap<FrontKey, Frontend>,
    /// Pods on this node that may reach themselves through the Service.
    pub hairpin: BTreeSet<IpAddr>,
}

/// What one frontend leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frontend {
    Refused(Outcome),
    Balanced { chain: ChainSpec, endpoints: Vec<Backend>, local: Vec<Backend>, affinity: bool },
}

impl Frontend {
    /// The elements under `key` that make it.
    pub(crate) fn items(&self, key: FrontKey) -> Vec<Item> {
        let (chain, endpoints, local, affinity) = match self {
            Self::Refused(outcome) => return vec![Item::Refused(key, *outcome)],
            Self::Balanced { chain, endpoints, local, affinity } => (chain, endpoints, local, *affinity),
        };
        let mut items = vec![Item::Service(key, chain.clone())];
        items.extend((0..).zip(endpoints).map(|(index, backend)| Item::Endpoint(key, index, *backend)));
        items.extend((0..).zip(local).map(|(index, backend)| Item::Local(key, index, *backend)));
        if affinity {
            let members: BTreeSet<Backend> = endpoints.iter().chain(local).copied().collect();
            items.extend(members.into_iter().map(|backend| Item::Member(key, backend)));
        }
        items
    }

    /// Everybody who may answer for it.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        let (endpoints, local) = match self {
            Self::Refused(_) => (&[][..], &[][..]),
            Self::Balanced { endpoints, local, .. } => (endpoints.as_slice(), local.as_slice()),
        };
        endpoints.iter().chain(local)
    }
}

/// The frontends of `service` with the endpoints in `slices`; nothing for Services without addresses of their own.
#[must_use]
pub fn fragment(service: &Service, slices: &[impl AsRef<EndpointSlice>], node: &Node) -> Fragment {
    let mut fragment = Fragment::default();
    let Some(spec) = service.spec.as_ref().filter(|spec| is_proxied(service, spec)) else { return fragment };
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else { continue };
        for ipv6 in [false, true] {
            let name = port.name.as_deref().unwrap_or_default();
            let fronts = Fronts::new(service, spec, port, protocol, ipv6, node);
            if fronts.is_empty() {
                continue;
            }
            let found = usable(slices, name, protocol, ipv6, &node.name);
            fronts.fill(spec, &found, &mut fragment);
            fragment.hairpin.extend(found.local_pods);
        }
    }
    fragment
}

fn is_proxied(service: &Service, spec: &ServiceSpec) -> bool {
    let headless = matches!(spec.cluster_ip.as_deref(), None | Some("" | "None"));
    let foreign = service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(PROXY_NAME));
    spec.type_.as_deref() != Some("ExternalName") && !headless && !foreign
}

/// Where clients reach one port in one IP family.
struct Fronts {
    cluster: Vec<FrontKey>,
    external: Vec<FrontKey>,
    /// Load balancer addresses: external ones that may be guarded.
    balancer: Vec<FrontKey>,
}

impl Fronts {
    fn new(
        service: &Service,
        spec: &ServiceSpec,
        port: &ServicePort,
        protocol: Protocol,
        ipv6: bool,
        node: &Node,
    ) -> Self {
        let key = |number: i32| {
            let port = u16::try_from(number).ok().filter(|port| *port != 0);
            move |address: IpAddr| port.map(|port| FrontKey { address, protocol, port })
        };
        let of_family = |address: &IpAddr| address.is_ipv6() == ipv6;
        let addresses = |texts: &[String]| -> Vec<FrontKey> {
            let parsed = texts.iter().filter_map(|text| text.parse().ok());
            parsed.filter(of_family).filter_map(key(port.port)).collect()
        };
        let mut external = addresses(spec.external_ips.as_deref().unwrap_or_default());
        let node_port = port.node_port.unwrap_or(0);
        external.extend(node.addresses.iter().copied().filter(of_family).filter_map(key(node_port)));
        let own = spec.cluster_ip.iter().cloned().collect::<Vec<_>>();
        let cluster = addresses(spec.cluster_ips.as_deref().filter(|ips| !ips.is_empty()).unwrap_or(&own));
        Self { cluster, external, balancer: addresses(&ingress_addresses(service)) }
    }

    fn is_empty(&self) -> bool {
        self.cluster.is_empty() && self.external.is_empty() && self.balancer.is_empty()
    }

    fn fill(&self, spec: &ServiceSpec, found: &Usable, fragment: &mut Fragment) {
        let affinity = affinity(spec);
        let is_local = |policy: &Option<String>| policy.as_deref() == Some("Local");
        let internal = if is_local(&spec.internal_traffic_policy) {
            balanced(&found.local, found.all.is_empty(), Masquerade::Strangers, affinity)
        } else {
            balanced(&found.all, true, Masquerade::Strangers, affinity)
        };
        let external = if is_local(&spec.external_traffic_policy) {
            split(found, affinity)
        } else {
            balanced(&found.all, true, Masquerade::Always, affinity)
        };
        let guarded = guard(external.clone(), spec);
        for (keys, frontend) in [(&self.cluster, internal), (&self.external, external), (&self.balancer, guarded)] {
            for key in keys {
                fragment.frontends.entry(*key).or_insert_with(|| frontend.clone());
            }
        }
    }
}

/// The addresses at which load balancers deliver packets with the address kept.
fn ingress_addresses(service: &Service) -> Vec<String> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    ingress.filter(|point| point.ip_mode.as_deref() != Some("Proxy")).filter_map(|point| point.ip.clone()).collect()
}

fn affinity(spec: &ServiceSpec) -> Option<u32> {
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|client| client.timeout_seconds).unwrap_or(AFFINITY);
    (spec.session_affinity.as_deref() == Some("ClientIP")).then_some(u32::try_from(seconds).unwrap_or(1).max(1))
}

/// All of `endpoints` alike; without any, the client is told when there are none elsewhere either (`nowhere`).
fn balanced(endpoints: &[Backend], nowhere: bool, masquerade: Masquerade, affinity: Option<u32>) -> Frontend {
    if endpoints.is_empty() {
        return Frontend::Refused(if nowhere { Outcome::Reject } else { Outcome::Drop });
    }
    let chain = ChainSpec::Balance(balance(endpoints, false, masquerade, affinity));
    Frontend::Balanced { chain, endpoints: endpoints.to_vec(), local: Vec::new(), affinity: affinity.is_some() }
}

/// `externalTrafficPolicy: Local`.
fn split(found: &Usable, affinity: Option<u32>) -> Frontend {
    if found.all.is_empty() {
        return Frontend::Refused(Outcome::Reject);
    }
    let all = balance(&found.all, false, Masquerade::Never, affinity);
    let local = (!found.local.is_empty()).then(|| balance(&found.local, true, Masquerade::Never, affinity));
    Frontend::Balanced {
        chain: ChainSpec::Split { all, local },
        endpoints: found.all.clone(),
        local: found.local.clone(),
        affinity: affinity.is_some(),
    }
}

fn balance(endpoints: &[Backend], local: bool, masquerade: Masquerade, affinity: Option<u32>) -> Balance {
    Balance { endpoints: u32::try_from(endpoints.len()).unwrap_or(u32::MAX), local, masquerade, affinity }
}

fn guard(frontend: Frontend, spec: &ServiceSpec) -> Frontend {
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    let Frontend::Balanced { chain, endpoints, local, affinity } = frontend else { return frontend };
    if ranges.is_empty() {
        return Frontend::Balanced { chain, endpoints, local, affinity };
    }
    // A range that cannot be read lets nobody in.
    let sources: BTreeSet<IpNet> = ranges.iter().filter_map(|range| range.trim().parse().ok()).collect();
    let chain = ChainSpec::Guard(Guard { sources: sources.into_iter().collect(), then: Box::new(chain) });
    Frontend::Balanced { chain, endpoints, local, affinity }
}
