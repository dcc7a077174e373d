//! A pod as the scheduler sees it: everything that decides its place, computed once.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec, Toleration};

use crate::affinity::NodeChoice;
use crate::requests::{Requests, nonzero_requests, pod_requests};

/// A host port that a pod takes: address (empty for all), protocol, number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    pub(crate) address: Box<str>,
    pub(crate) protocol: Box<str>,
    pub(crate) number: i32,
}

/// A pod, reduced to what concerns its place.
#[derive(Debug, Clone)]
pub struct PodInfo {
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
    pub priority: i32,
    pub created: Option<Timestamp>,
    /// Names of the gates that hold it back.
    pub gates: Vec<Box<str>>,
    pub(crate) requests: Requests,
    /// CPU and memory with defaults for what is not named.
    pub(crate) nonzero: (i64, i64),
    pub(crate) ports: Vec<HostPort>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) choice: NodeChoice,
    pub(crate) images: Vec<Box<str>>,
    /// The node it insists on; empty for any.
    pub(crate) node_name: Box<str>,
    pub(crate) never_preempts: bool,
    /// What it requires that no plugin here evaluates yet.
    pub(crate) unsupported: Option<&'static str>,
}

impl PodInfo {
    #[must_use]
    pub fn new(pod: &Pod) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let meta = &pod.metadata;
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        Self {
            namespace: text(&meta.namespace),
            name: text(&meta.name),
            uid: text(&meta.uid),
            priority: spec.priority.unwrap_or(0),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            gates: spec.scheduling_gates.iter().flatten().map(|gate| gate.name.as_str().into()).collect(),
            requests: pod_requests(&spec),
            nonzero: nonzero_requests(&spec),
            ports: host_ports(&spec),
            choice: NodeChoice::of(&spec),
            images: spec.containers.iter().filter_map(|container| container.image.as_deref()).map(image_name).collect(),
            node_name: text(&spec.node_name),
            never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
            unsupported: unsupported(&spec),
            tolerations: spec.tolerations.unwrap_or_default(),
        }
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let beside = spec.init_containers.iter().flatten();
    let beside = beside.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(beside).flat_map(|container| container.ports.iter().flatten());
    let taken = ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let address = port.host_ip.as_deref().filter(|address| *address != "0.0.0.0").unwrap_or_default();
        Some(HostPort { address: address.into(), protocol: port.protocol.as_deref().unwrap_or("TCP").into(), number })
    });
    taken.collect()
}

/// Nodes report images with a tag or digest.
fn image_name(image: &str) -> Box<str> {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.into() } else { format!("{image}:latest").into() }
}

/// A requirement must not be ignored silently: better no place than a wrong one.
fn unsupported(spec: &PodSpec) -> Option<&'static str> {
    let affinity = spec.affinity.as_ref();
    let attracts = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let attracts = attracts.and_then(|pods| pods.required_during_scheduling_ignored_during_execution.as_ref());
    let repels = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let repels = repels.and_then(|pods| pods.required_during_scheduling_ignored_during_execution.as_ref());
    let spreads = spec.topology_spread_constraints.iter().flatten();
    let claims = spec.volumes.iter().flatten();
    if attracts.is_some_and(|terms| !terms.is_empty()) || repels.is_some_and(|terms| !terms.is_empty()) {
        Some("required inter-pod affinity is not supported yet")
    } else if spreads.into_iter().any(|constraint| constraint.when_unsatisfiable == "DoNotSchedule") {
        Some("required topology spread constraints are not supported yet")
    } else if claims.into_iter().any(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some()) {
        Some("persistent volume claims are not supported yet")
    } else if spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        Some("resource claims are not supported yet")
    } else {
        None
    }
}
