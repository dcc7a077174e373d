//! The phase of a pod, from its containers' statuses.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use super::{Sources, ended};
use crate::pod::desired::Kind;

/// The phase. A phase that the API has recorded as final stays.
pub(super) fn phase(sources: Sources<'_>, status: &PodStatus) -> &'static str {
    match sources.desired.recorded_end() {
        Some("Succeeded") => return "Succeeded",
        Some(_) => return "Failed",
        None => {}
    }
    let alive = sources.observed.alive().next().is_some() || sources.memory.starting.is_some();
    if sources.memory.doom.is_some() {
        return if alive { current(sources, status) } else { "Failed" };
    }
    if (sources.desired.deleted() || sources.memory.forgotten) && !alive {
        return last(sources, status);
    }
    current(sources, status)
}

/// The phase of a pod whose containers come and go.
fn current(sources: Sources<'_>, status: &PodStatus) -> &'static str {
    let desired = sources.desired;
    let policy = desired.restart_policy();
    match initialization(sources, status) {
        Initialization::Failed => return "Failed",
        Initialization::Pending => return "Pending",
        Initialization::Done => {}
    }
    let count = Count::of(status.container_statuses.iter().flatten());
    if count.waiting > 0 {
        return if count.stopped > 0 { "Running" } else { "Pending" };
    }
    if count.running > 0 {
        return "Running";
    }
    if count.stopped == 0 {
        return "Pending";
    }
    if !ended(sources) {
        return "Running";
    }
    match count.stopped == count.succeeded {
        true if policy != "Always"
            || desired.of_kind(Kind::App).any(|slot| slot.container.restart_policy.is_some()) =>
        {
            "Succeeded"
        }
        true => "Running",
        false => "Failed",
    }
}

/// The phase in which a deleted pod ends.
fn last(sources: Sources<'_>, status: &PodStatus) -> &'static str {
    let count = Count::of(status.container_statuses.iter().flatten());
    let never_ran = sources.observed.containers.is_empty();
    match (never_ran, count.stopped) {
        (true, _) | (_, 0) => current(sources, status),
        (false, stopped) if stopped == count.succeeded && count.waiting == 0 => "Succeeded",
        _ => "Failed",
    }
}

enum Initialization {
    Pending,
    Failed,
    Done,
}

fn initialization(sources: Sources<'_>, status: &PodStatus) -> Initialization {
    let app_ran = sources.desired.of_kind(Kind::App).any(|slot| sources.observed.newest(slot.name()).is_some());
    let never = sources.desired.restart_policy() == "Never";
    let mut pending = false;
    for (slot, container) in sources.desired.initial().zip(status.init_container_statuses.iter().flatten()) {
        let exit = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        match (slot.kind, exit) {
            (Kind::Init, Some(exit)) if exit.exit_code != 0 && never => return Initialization::Failed,
            (Kind::Init, Some(exit)) => pending |= exit.exit_code != 0,
            (Kind::Init, None) => pending = true,
            _ => pending |= !container.started.unwrap_or(false),
        }
    }
    match pending && !app_ran {
        true => Initialization::Pending,
        false => Initialization::Done,
    }
}

#[derive(Default)]
struct Count {
    waiting: usize,
    running: usize,
    stopped: usize,
    succeeded: usize,
}

impl Count {
    fn of<'a>(statuses: impl Iterator<Item = &'a ContainerStatus>) -> Self {
        let mut count = Self::default();
        for status in statuses {
            count.add(status);
        }
        count
    }

    fn add(&mut self, status: &ContainerStatus) {
        let Some(state) = &status.state else {
            self.waiting += 1;
            return;
        };
        if state.running.is_some() {
            self.running += 1;
        } else if let Some(exit) = &state.terminated {
            self.stopped += 1;
            self.succeeded += usize::from(exit.exit_code == 0);
        } else if status.last_state.as_ref().is_some_and(|last| last.terminated.is_some()) {
            self.stopped += 1;
        } else {
            self.waiting += 1;
        }
    }
}
