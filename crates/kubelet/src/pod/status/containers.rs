//! Statuses of single containers.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, PodStatus,
    ResourceRequirements, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Sources;
use crate::pod::desired::{Kind, Slot};
use crate::pod::observed::{Container, Exit, Sandbox, State};
use crate::pod::step;

/// The status of one slot's container.
pub(super) fn status(sources: Sources<'_>, slot: &Slot) -> ContainerStatus {
    let recorded = recorded(sources, slot);
    let Some(newest) = newest(sources, slot) else {
        return absent(sources, slot, recorded);
    };
    let mut state = state(sources, slot, newest);
    let mut last = sources.observed.previous(slot.name()).and_then(|previous| terminated(sources, previous));
    if state.waiting.is_some() && newest.exit().is_some() {
        last = terminated(sources, newest);
    }
    if state == ContainerState::default() {
        state = waiting(default_reason(sources, slot), None);
    }
    let last = last.or_else(|| recorded.and_then(|status| status.last_state.clone()).filter(|_| newest.attempt > 0));
    let started = started(sources, slot, newest);
    ContainerStatus {
        name: slot.name().to_owned(),
        container_id: Some(id(sources, &newest.id)),
        image: newest.image.clone(),
        image_id: newest.image_ref.clone(),
        restart_count: i32::try_from(newest.attempt).unwrap_or(i32::MAX),
        ready: ready(sources, slot, newest, started, recorded),
        started: Some(started),
        last_state: Some(last.unwrap_or_default()),
        state: Some(state),
        ..fixed(slot)
    }
}

/// Gives containers that never got to run in a pod that has ended an end of their own.
pub(super) fn settle(sources: Sources<'_>, status: &mut PodStatus) {
    let was_running = sources.desired.pod.status.as_ref().and_then(|old| old.phase.as_deref()) == Some("Running");
    let lists = [&mut status.init_container_statuses, &mut status.container_statuses];
    for container in lists.into_iter().flatten().flatten() {
        let known = container.state.as_ref().is_some_and(|state| state.terminated.is_some());
        if known || !was_running {
            continue;
        }
        if let Some(last) = container.last_state.take_if(|last| last.terminated.is_some()) {
            container.state = Some(last);
            container.last_state = Some(ContainerState::default());
            continue;
        }
        let terminated = ContainerStateTerminated {
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".into()),
            message: Some("The container could not be located when the pod was terminated".into()),
            ..Default::default()
        };
        container.state = Some(ContainerState { terminated: Some(terminated), ..Default::default() });
    }
}

/// What the API last showed of this container.
fn recorded<'a>(sources: Sources<'a>, slot: &Slot) -> Option<&'a ContainerStatus> {
    let status = sources.desired.pod.status.as_ref()?;
    let list = match slot.kind {
        Kind::Init | Kind::Sidecar => &status.init_container_statuses,
        Kind::App => &status.container_statuses,
        Kind::Ephemeral => &status.ephemeral_container_statuses,
    };
    list.iter().flatten().find(|status| status.name == slot.container.name)
}

/// Init containers of an older sandbox have to run again and say nothing about the present one.
fn newest<'a>(sources: Sources<'a>, slot: &Slot) -> Option<&'a Container> {
    let newest = sources.observed.newest(slot.name())?;
    let in_present = |sandbox: &Sandbox| sandbox.id == newest.sandbox_id || !sandbox.ready;
    match slot.kind {
        Kind::Init | Kind::Sidecar => Some(newest).filter(|_| sources.observed.sandbox().is_none_or(in_present)),
        Kind::App | Kind::Ephemeral => Some(newest),
    }
}

fn absent(sources: Sources<'_>, slot: &Slot, recorded: Option<&ContainerStatus>) -> ContainerStatus {
    let ended = |status: &&ContainerStatus| status.state.as_ref().is_some_and(|state| state.terminated.is_some());
    if let Some(known) = recorded.filter(ended).filter(|_| sources.desired.recorded_end().is_some()) {
        return known.clone();
    }
    let state = match &sources.memory.of(slot.name()).error {
        Some(error) => waiting(error.reason, Some(error.message.clone())),
        None => waiting(default_reason(sources, slot), None),
    };
    ContainerStatus {
        name: slot.name().to_owned(),
        image: slot.container.image.clone().unwrap_or_default(),
        restart_count: recorded.map_or(0, |status| status.restart_count),
        last_state: Some(recorded.and_then(|status| status.last_state.clone()).unwrap_or_default()),
        started: Some(false),
        state: Some(state),
        ..fixed(slot)
    }
}

/// What only the spec says.
fn fixed(slot: &Slot) -> ContainerStatus {
    let resources = slot.container.resources.clone().filter(|resources| *resources != ResourceRequirements::default());
    let mounts: Vec<_> = slot
        .container
        .volume_mounts
        .iter()
        .flatten()
        .map(|mount| VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only,
            recursive_read_only: mount.read_only.unwrap_or(false).then(|| "Disabled".to_owned()),
            ..Default::default()
        })
        .collect();
    ContainerStatus {
        allocated_resources: resources.as_ref().and_then(|resources| resources.requests.clone()),
        resources,
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..Default::default()
    }
}

fn state(sources: Sources<'_>, slot: &Slot, newest: &Container) -> ContainerState {
    match &newest.state {
        State::Running { started_at } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(*started_at)) }),
            ..Default::default()
        },
        State::Exited(exit) => {
            let ending = sources.desired.deleted() || sources.memory.doom.is_some() || sources.memory.forgotten;
            match !ending && step::restarts(sources.desired, slot, exit.code) {
                true => before_restart(sources, slot, newest, exit),
                false => terminated(sources, newest).unwrap_or_default(),
            }
        }
        State::Created | State::Unknown => ContainerState::default(),
    }
}

/// An exited container that will be started again: why it is not, or how it ended while nothing holds it back.
fn before_restart(sources: Sources<'_>, slot: &Slot, newest: &Container, exit: &Exit) -> ContainerState {
    let memory = sources.memory.of(slot.name());
    if let Some(error) = memory.error.as_ref().filter(|error| error.before_start()) {
        return waiting(error.reason, Some(error.message.clone()));
    }
    let being_started = sources.memory.starting.as_deref() == Some(slot.name());
    let waits = !being_started && memory.restarts.until(exit.finished_at, sources.now).is_some();
    if !waits {
        return match &memory.error {
            Some(error) => waiting(error.reason, Some(error.message.clone())),
            None => terminated(sources, newest).unwrap_or_default(),
        };
    }
    let delay = memory.restarts.delay(exit.finished_at).unwrap_or_default();
    let message = format!(
        "back-off {} restarting failed container={} pod={}",
        go_duration(delay.as_secs()),
        slot.name(),
        sources.desired.label()
    );
    waiting("CrashLoopBackOff", Some(message))
}

/// Seconds as upstream's messages show them: `10s`, `1m20s`, `5m0s`.
pub(crate) fn go_duration(seconds: i64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..Default::default() }
}

fn default_reason(sources: Sources<'_>, slot: &Slot) -> &'static str {
    match slot.kind {
        Kind::Ephemeral => "ContainerCreating",
        _ if sources.desired.initial().next().is_some() => "PodInitializing",
        _ => "ContainerCreating",
    }
}

fn terminated(sources: Sources<'_>, container: &Container) -> Option<ContainerState> {
    let exit = container.exit()?;
    let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    let reason = match exit.reason.as_str() {
        "" if exit.code == 0 => "Completed",
        "" => "Error",
        given => given,
    };
    let terminated = ContainerStateTerminated {
        container_id: Some(id(sources, &container.id)),
        exit_code: exit.code,
        reason: Some(reason.to_owned()),
        message: text(&exit.message),
        signal: None,
        started_at: exit.started_at.map(Time),
        finished_at: Some(Time(exit.finished_at)),
    };
    Some(ContainerState { terminated: Some(terminated), ..Default::default() })
}

fn id(sources: Sources<'_>, id: &str) -> String {
    format!("{}://{id}", sources.node.runtime_name)
}

fn started(sources: Sources<'_>, slot: &Slot, newest: &Container) -> bool {
    let probed = || sources.memory.probed(slot.name(), &newest.id);
    newest.running() && (slot.container.startup_probe.is_none() || probed().is_some_and(|probed| probed.started))
}

fn ready(sources: Sources<'_>, slot: &Slot, newest: &Container, started: bool, old: Option<&ContainerStatus>) -> bool {
    if slot.kind == Kind::Init {
        return newest.exit().is_some_and(|exit| exit.code == 0);
    }
    if !started || slot.kind == Kind::Ephemeral {
        return false;
    }
    if slot.container.readiness_probe.is_none() {
        return true;
    }
    match sources.memory.probed(slot.name(), &newest.id) {
        Some(probed) => probed.ready,
        // after a restart of the kubelet the last known answer stands until the probe has been run
        None => old.is_some_and(|old| old.ready && old.container_id.as_deref() == Some(&id(sources, &newest.id))),
    }
}
