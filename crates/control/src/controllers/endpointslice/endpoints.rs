//! Which endpoints a service has: one for each pod and address family, grouped by the ports the pods serve on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::pods;
use crate::world::World;

const ZONE: &str = "topology.kubernetes.io/zone";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    fn holds(self, address: &str) -> bool {
        match address.parse::<IpAddr>() {
            Ok(address) => address.is_ipv4() == (self == Self::V4),
            Err(_) => false,
        }
    }
}

/// Endpoints by pod name, for each set of ports.
pub(super) type Wanted = Vec<(Vec<EndpointPort>, BTreeMap<String, Endpoint>)>;

pub(super) fn families(service: &Service) -> Vec<Family> {
    let named = service.spec.iter().flat_map(|spec| spec.ip_families.iter().flatten());
    let families: Vec<Family> = named.map(|name| if name == "IPv6" { Family::V6 } else { Family::V4 }).collect();
    if families.is_empty() { vec![Family::V4] } else { families }
}

pub(super) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

pub(super) fn wanted(service: &Service, pods: &[Arc<Pod>], family: Family, world: &World) -> Wanted {
    let mut groups: Wanted = Vec::new();
    for pod in pods {
        let Some(address) = address(pod, family) else { continue };
        let ports = ports(service, pod);
        if ports.is_empty() && !is_headless(service) {
            continue;
        }
        let position = groups.iter().position(|(known, _)| *known == ports).unwrap_or_else(|| {
            groups.push((ports, BTreeMap::new()));
            groups.len() - 1
        });
        let name = pod.metadata.name.clone().unwrap_or_default();
        groups[position].1.insert(name, endpoint(service, pod, address, world));
    }
    groups
}

/// The pod's address of a family; `None` also for finished pods, whose address may be somebody else's by now.
fn address(pod: &Pod, family: Family) -> Option<&str> {
    let status = pod.status.as_ref().filter(|_| !pods::is_finished(pod))?;
    let all = status.pod_ips.iter().flatten().map(|address| address.ip.as_str());
    all.chain(status.pod_ip.as_deref()).find(|address| family.holds(address))
}

fn endpoint(service: &Service, pod: &Pod, address: &str, world: &World) -> Endpoint {
    let serving = pods::is_ready(pod);
    let terminating = pods::is_leaving(pod);
    let regardless = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let node = pods::node_name(pod);
    let zone = node.and_then(|node| world.get::<Node>(None, node));
    let spec = pod.spec.as_ref();
    let hostname = spec.and_then(|spec| spec.hostname.clone()).filter(|_| {
        let subdomain = spec.and_then(|spec| spec.subdomain.as_deref());
        subdomain.is_some() && subdomain == service.metadata.name.as_deref()
    });
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(regardless || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname,
        node_name: node.map(str::to_owned),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        zone: zone.and_then(|node| node.metadata.labels.as_ref()?.get(ZONE).cloned()),
        ..Endpoint::default()
    }
}

/// The service's ports as this pod serves them; those that it does not name are left out.
fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let all = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let found = all.filter_map(|port| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(target(port, pod)?),
            protocol: Some(protocol(port).to_owned()),
            app_protocol: port.app_protocol.clone(),
        })
    });
    found.collect()
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => named_port(pod, name, protocol(port)),
    }
}

/// A port by name: of containers, and of init containers that go on running beside them.
fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let beside = spec.init_containers.iter().flatten();
    let beside = beside.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(beside).flat_map(|container| container.ports.iter().flatten());
    let mut matching = ports
        .filter(|port| port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol);
    matching.next().map(|port| port.container_port)
}
