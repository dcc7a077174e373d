//! The conditions of a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Sources;
use crate::pod::desired::Kind;

/// A condition's outcome: status, reason, message.
struct Verdict {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

/// The conditions that the kubelet owns, merged into those that others set.
pub(super) fn conditions(sources: Sources<'_>, old: &PodStatus, new: &PodStatus) -> Vec<PodCondition> {
    let own = [
        ("PodReadyToStartContainers", sandbox_ready(sources)),
        ("Initialized", initialized(sources, new)),
        ("Ready", ready(sources, old, new)),
        ("ContainersReady", containers_ready(sources, new)),
        ("PodScheduled", yes()),
    ];
    let previous: Vec<PodCondition> = old.conditions.clone().unwrap_or_default();
    let mut conditions: Vec<PodCondition> = own
        .into_iter()
        .map(|(kind, verdict)| {
            let old = previous.iter().find(|condition| condition.type_ == kind);
            condition(sources, kind, verdict, old)
        })
        .collect();
    let foreign = previous.into_iter().filter(|old| !conditions.iter().any(|new| new.type_ == old.type_));
    let foreign: Vec<_> = foreign.collect();
    conditions.extend(foreign);
    conditions
}

fn condition(sources: Sources<'_>, kind: &str, verdict: Verdict, old: Option<&PodCondition>) -> PodCondition {
    let status = if verdict.holds { "True" } else { "False" };
    let since = old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        last_transition_time: since.or(Some(Time(sources.now))),
        last_probe_time: old.and_then(|old| old.last_probe_time.clone()),
        observed_generation: sources.desired.pod.metadata.generation,
    }
}

fn yes() -> Verdict {
    Verdict { holds: true, reason: None, message: None }
}

fn completed() -> Verdict {
    Verdict { holds: true, reason: Some("PodCompleted"), message: None }
}

fn no(reason: &'static str, message: Option<String>) -> Verdict {
    Verdict { holds: false, reason: Some(reason), message }
}

fn sandbox_ready(sources: Sources<'_>) -> Verdict {
    let ready = sources.observed.sandbox().is_some_and(|sandbox| sandbox.ready);
    Verdict { holds: ready, reason: None, message: None }
}

fn initialized(sources: Sources<'_>, new: &PodStatus) -> Verdict {
    if new.phase.as_deref() == Some("Succeeded") {
        return completed();
    }
    let app_ran = sources.desired.of_kind(Kind::App).any(|slot| sources.observed.newest(slot.name()).is_some());
    if app_ran {
        return yes();
    }
    let statuses = new.init_container_statuses.iter().flatten();
    let incomplete: Vec<&str> = sources
        .desired
        .initial()
        .zip(statuses)
        .filter(|(slot, status)| match slot.kind {
            Kind::Sidecar => !status.started.unwrap_or(false),
            _ => !status.ready,
        })
        .map(|(slot, _)| slot.name())
        .collect();
    match incomplete.is_empty() {
        true => yes(),
        false => {
            let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
            no("ContainersNotInitialized", Some(message))
        }
    }
}

fn containers_ready(sources: Sources<'_>, new: &PodStatus) -> Verdict {
    match new.phase.as_deref() {
        Some("Succeeded") => return no("PodCompleted", None),
        Some("Failed") => return no("PodFailed", None),
        _ => {}
    }
    let sidecars: Vec<&str> = sources.desired.of_kind(Kind::Sidecar).map(|slot| slot.name()).collect();
    let initial = new.init_container_statuses.iter().flatten();
    let judged = initial
        .filter(|status| sidecars.contains(&status.name.as_str()))
        .chain(new.container_statuses.iter().flatten());
    let unready: Vec<&str> = judged.filter(|status| !is_ready(status)).map(|status| status.name.as_str()).collect();
    match unready.is_empty() {
        true => yes(),
        false => no("ContainersNotReady", Some(format!("containers with unready status: [{}]", unready.join(" ")))),
    }
}

fn is_ready(status: &ContainerStatus) -> bool {
    status.ready
}

fn ready(sources: Sources<'_>, old: &PodStatus, new: &PodStatus) -> Verdict {
    let containers = containers_ready(sources, new);
    if !containers.holds {
        return containers;
    }
    let unmet: Vec<String> = sources
        .desired
        .spec()
        .readiness_gates
        .iter()
        .flatten()
        .filter_map(|gate| gate_unmet(&gate.condition_type, old))
        .collect();
    match unmet.is_empty() {
        true => yes(),
        false => no("ReadinessGatesNotReady", Some(unmet.join(", "))),
    }
}

fn gate_unmet(gate: &str, old: &PodStatus) -> Option<String> {
    let condition = old.conditions.iter().flatten().find(|condition| condition.type_ == gate);
    match condition {
        None => Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")),
        Some(condition) if condition.status != "True" => {
            Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but {}", condition.status))
        }
        Some(_) => None,
    }
}
