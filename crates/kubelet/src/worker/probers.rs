//! The probes that run for one pod.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use host::OnEnd;
use k8s_openapi::api::core::v1::ContainerStatus;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::context::Context;
use crate::pod::desired::{Desired, Kind as SlotKind, Slot};
use crate::pod::memory::{Failed, Memory, Probed};
use crate::pod::observed::{Container, Observed, State};
use crate::probe::{self, Kind, Report, Target};

/// Runs the probes that a pod's containers need at the moment.
pub(super) struct Probers {
    context: Arc<Context>,
    reports: mpsc::Sender<Report>,
    running: BTreeMap<(String, Kind), AbortHandle>,
}

impl Probers {
    pub(super) fn new(context: Arc<Context>, reports: mpsc::Sender<Report>) -> Self {
        Self { context, reports, running: BTreeMap::new() }
    }

    /// Starts the probes that are due and ends the others.
    pub(super) fn sync(
        &mut self,
        desired: &Arc<Desired>,
        observed: &Observed,
        memory: &mut Memory,
        node: Option<IpAddr>,
    ) {
        let mut wanted = Vec::new();
        let ending = desired.deleted() || memory.forgotten || memory.doom.is_some();
        for slot in desired.slots.iter().filter(|slot| matches!(slot.kind, SlotKind::App | SlotKind::Sidecar)) {
            let Some(container) = observed.newest(slot.name()).filter(|container| container.running()) else {
                continue;
            };
            if !has_probes(slot) {
                continue;
            }
            let probed = remember(&self.context, desired, slot, container, memory);
            wanted.extend(due(slot, probed, ending).map(|kind| (container, slot, kind)));
        }
        let gone =
            |id: &str, kind: Kind| !wanted.iter().any(|(container, _, wanted)| container.id == id && *wanted == kind);
        self.running.retain(|(id, kind), task| {
            let gone = gone(id, *kind);
            if gone {
                task.abort();
            }
            !gone
        });
        let address = observed.sandbox().and_then(|sandbox| sandbox.ips.first().copied()).or(node);
        for (container, slot, kind) in wanted {
            self.start(desired, slot, container, kind, address);
        }
    }

    fn start(
        &mut self,
        desired: &Arc<Desired>,
        slot: &Slot,
        container: &Container,
        kind: Kind,
        address: Option<IpAddr>,
    ) {
        let key = (container.id.clone(), kind);
        let State::Running { started_at } = container.state else { return };
        if self.running.contains_key(&key) {
            return;
        }
        let target =
            Target { desired: desired.clone(), slot: slot.clone(), id: container.id.clone(), started_at, address };
        let run = probe::run(self.context.clone(), target, kind, self.reports.clone());
        self.running.insert(key, self.context.host.tasks.spawn("probe", OnEnd::Expected, run));
    }

    /// Notes a verdict.
    pub(super) fn take(&self, memory: &mut Memory, report: &Report) {
        let Some(probed) = memory.of_mut(&report.container).probes.as_mut().filter(|probed| probed.id == report.id)
        else {
            return;
        };
        match (report.kind, report.success) {
            (Kind::Readiness, ready) => probed.ready = ready,
            (Kind::Startup, true) => probed.started = true,
            (Kind::Liveness, true) => {}
            (Kind::Startup, false) => probed.failed = Some(Failed { probe: "startup", grace: None }),
            (Kind::Liveness, false) => probed.failed = Some(Failed { probe: "liveness", grace: None }),
        }
    }
}

impl Drop for Probers {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

fn has_probes(slot: &Slot) -> bool {
    [Kind::Startup, Kind::Readiness, Kind::Liveness].iter().any(|kind| kind.of(&slot.container).is_some())
}

/// What is known of the container, beginning with what the API has recorded of it.
fn remember<'m>(
    context: &Context,
    desired: &Desired,
    slot: &Slot,
    container: &Container,
    memory: &'m mut Memory,
) -> &'m mut Probed {
    let known = memory.of_mut(slot.name());
    if known.probes.as_ref().is_none_or(|probed| probed.id != container.id) {
        let id = format!("{}://{}", context.facts.runtime_name, container.id);
        let status = desired.pod.status.as_ref();
        let mut recorded = status.into_iter().flat_map(|status| {
            status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten())
        });
        let recorded: Option<&ContainerStatus> = recorded.find(|status| status.container_id.as_ref() == Some(&id));
        known.probes = Some(Probed {
            id: container.id.clone(),
            started: slot.container.startup_probe.is_none() || recorded.is_some_and(|r| r.started == Some(true)),
            ready: recorded.is_some_and(|recorded| recorded.ready),
            failed: None,
        });
    }
    let probed = known.probes.get_or_insert_with(|| Probed {
        id: container.id.clone(),
        started: false,
        ready: false,
        failed: None,
    });
    if let Some(failed) = &mut probed.failed {
        let kind = if failed.probe == "startup" { Kind::Startup } else { Kind::Liveness };
        failed.grace = kind.of(&slot.container).and_then(|probe| probe.termination_grace_period_seconds);
    }
    probed
}

/// The probes that a container needs now.
fn due(slot: &Slot, probed: &Probed, ending: bool) -> impl Iterator<Item = Kind> {
    let started = probed.started;
    let given_up = probed.failed.is_some();
    let present =
        [Kind::Startup, Kind::Readiness, Kind::Liveness].map(|kind| (kind, kind.of(&slot.container).is_some()));
    present
        .into_iter()
        .filter(move |(kind, present)| {
            *present
                && match kind {
                    Kind::Startup => !started && !given_up && !ending,
                    Kind::Liveness => started && !given_up && !ending,
                    Kind::Readiness => started,
                }
        })
        .map(|(kind, _)| kind)
}
