//! The pod's status, from what is wanted, what is there and what the worker knows. Pure.

mod conditions;
mod containers;
mod phase;

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::desired::{Desired, Kind};
use super::memory::Memory;
use super::observed::Observed;
use super::qos::Qos;
use super::step;

/// What the status needs to know of the node.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    pub ips: Vec<IpAddr>,
    /// `containerd`: the scheme of container ids.
    pub runtime_name: String,
}

/// Everything a status is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub memory: &'a Memory,
    pub node: &'a NodeFacts,
    pub now: Timestamp,
}

/// The status that the API should show. What others own (conditions of their own, the nominated node) is kept.
#[must_use]
pub fn status(sources: Sources<'_>) -> PodStatus {
    let Sources { desired, memory, node, now, .. } = sources;
    let old = desired.pod.status.clone().unwrap_or_default();
    if let Some(doom) = memory.doom.as_ref().filter(|_| rejected(sources)) {
        return rejection(&old, desired, doom.reason, &doom.message, now);
    }
    let of = |kinds: &[Kind]| -> Option<Vec<ContainerStatus>> {
        let slots = desired.slots.iter().filter(|slot| kinds.contains(&slot.kind));
        let list: Vec<_> = slots.map(|slot| containers::status(sources, slot)).collect();
        (!list.is_empty()).then_some(list)
    };
    let mut status = PodStatus {
        init_container_statuses: of(&[Kind::Init, Kind::Sidecar]),
        container_statuses: of(&[Kind::App]),
        ephemeral_container_statuses: of(&[Kind::Ephemeral]),
        qos_class: Some(Qos::of(&desired.pod).as_str().to_owned()),
        start_time: memory.started_at.map(Time),
        observed_generation: desired.pod.metadata.generation,
        ..old.clone()
    };
    let phase = phase::phase(sources, &status);
    if matches!(phase, "Succeeded" | "Failed") {
        containers::settle(sources, &mut status);
    }
    status.phase = Some(phase.to_owned());
    (status.reason, status.message) = match &memory.doom {
        Some(doom) => (Some(doom.reason.to_owned()), Some(doom.message.clone())),
        None => (old.reason.clone(), old.message.clone()),
    };
    addresses(sources, node, &mut status);
    status.conditions = Some(conditions::conditions(sources, &old, &status));
    status
}

/// Whether the pod was refused before anything of it ran.
fn rejected(sources: Sources<'_>) -> bool {
    let doomed_at_the_door = sources.memory.doom.as_ref().is_some_and(|doom| doom.reason != "DeadlineExceeded");
    doomed_at_the_door && sources.observed.is_empty()
}

fn rejection(old: &PodStatus, desired: &Desired, reason: &str, message: &str, now: Timestamp) -> PodStatus {
    PodStatus {
        phase: Some("Failed".into()),
        reason: Some(reason.to_owned()),
        message: Some(format!("Pod was rejected: {message}")),
        start_time: old.start_time.clone().or(Some(Time(now))),
        qos_class: Some(Qos::of(&desired.pod).as_str().to_owned()),
        observed_generation: desired.pod.metadata.generation,
        ..old.clone()
    }
}

fn addresses(sources: Sources<'_>, node: &NodeFacts, status: &mut PodStatus) {
    let host: Vec<String> = node.ips.iter().map(ToString::to_string).collect();
    status.host_ip = host.first().cloned();
    status.host_ips = (!host.is_empty()).then(|| host.iter().map(|ip| HostIP { ip: ip.clone() }).collect());
    let sandbox = sources.observed.sandbox();
    let own: Vec<String> = match sources.desired.host_network() {
        true if sandbox.is_some() => host,
        true => Vec::new(),
        false => sandbox.map(|sandbox| sandbox.ips.iter().map(ToString::to_string).collect()).unwrap_or_default(),
    };
    // a pod that has ended keeps the addresses that it had
    if !own.is_empty() {
        status.pod_ip = own.first().cloned();
        status.pod_ips = Some(own.into_iter().map(|ip| PodIP { ip }).collect());
    }
}

/// Whether the pod has ended for good, by the runtime's word or by the API's record.
fn ended(sources: Sources<'_>) -> bool {
    step::ended(sources.desired, sources.observed) && sources.observed.alive().next().is_none()
}

#[cfg(test)]
mod tests;
