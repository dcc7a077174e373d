//! The pod worker's decision: from what is wanted and what is there to what to do next. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Container as ContainerSpec;

use super::desired::{Desired, Kind, Slot};
use super::memory::{Doom, Memory, Volumes};
use super::observed::{Container, Observed, Sandbox, State};
use crate::sandbox::sysctls;

/// How long a failed image pull shows its error before the back-off is announced.
const PULL_ERROR_SHOWN: SignedDuration = SignedDuration::from_secs(2);
/// How long a container that could not be configured or created waits for its next try.
const CONFIG_RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Dead and living containers that are kept of each name: the newest and the one before, whose log `--previous` shows.
const KEPT: usize = 2;

/// One thing to do on the node. Everything but the announcements takes time and runs beside the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    MountVolumes,
    UnmountVolumes,
    CreateSandbox {
        attempt: u32,
    },
    StopSandbox {
        id: String,
    },
    RemoveSandbox {
        id: String,
    },
    /// Pull the image, create the container, start it, run its postStart hook.
    StartContainer {
        name: String,
        attempt: u32,
    },
    /// Run the preStop hook and stop the container, all within `grace` seconds.
    StopContainer {
        id: String,
        name: String,
        grace: i64,
        why: String,
    },
    RemoveContainer {
        id: String,
        name: String,
    },
    /// Tell users that `name` waits before it is restarted.
    AnnounceRestart {
        name: String,
        container: String,
    },
    /// Tell users that `name`'s image is not pulled again for a while.
    AnnouncePull {
        name: String,
    },
    /// Give up the pod for a reason of the node's own.
    Fail(Doom),
    /// Nothing of the pod runs any more: report it, release it in the API, remove what it left.
    Finish,
}

/// What to do, and when to look again if nothing happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub actions: Vec<Action>,
    pub again: Option<Timestamp>,
}

/// Decides what to do for a pod at `now`.
#[must_use]
pub fn step(desired: &Desired, observed: &Observed, memory: &Memory, now: Timestamp) -> Step {
    let mut planner = Planner { desired, observed, memory, now, starts: Vec::new(), step: Step::default() };
    if let Some(doom) = planner.forbidden().or_else(|| planner.deadline_exceeded()) {
        planner.act(Action::Fail(doom));
    } else if planner.ending() {
        planner.end();
    } else {
        planner.run();
        planner.collect();
    }
    planner.step
}

/// Whether every container has ended and none will be started again.
#[must_use]
pub fn ended(desired: &Desired, observed: &Observed) -> bool {
    let init_failed = desired.of_kind(Kind::Init).any(|slot| {
        observed
            .newest(slot.name())
            .and_then(Container::exit)
            .is_some_and(|exit| exit.code != 0 && !restarts(desired, slot, exit.code))
    });
    let mut app = desired.of_kind(Kind::App).peekable();
    let all_ended = app.peek().is_some()
        && app.all(|slot| {
            let exit = observed.newest(slot.name()).and_then(Container::exit);
            exit.is_some_and(|exit| !restarts(desired, slot, exit.code))
        });
    init_failed || all_ended
}

/// Whether a container that ended with `code` is started again.
#[must_use]
pub fn restarts(desired: &Desired, slot: &Slot, code: i32) -> bool {
    if slot.kind == Kind::Sidecar {
        return true;
    }
    if let Some(restart) = restarted_by_rule(&slot.container, code) {
        return restart;
    }
    let policy = slot.container.restart_policy.as_deref().unwrap_or_else(|| desired.restart_policy());
    match (slot.kind, policy) {
        (Kind::Ephemeral, _) | (_, "Never") => false,
        (Kind::Init, _) | (_, "OnFailure") => code != 0,
        _ => true,
    }
}

fn restarted_by_rule(container: &ContainerSpec, code: i32) -> Option<bool> {
    container.restart_policy_rules.iter().flatten().find_map(|rule| {
        let codes = rule.exit_codes.as_ref()?;
        let listed = codes.values.iter().flatten().any(|value| *value == code);
        let hit = match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        (hit && rule.action == "Restart").then_some(true)
    })
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    memory: &'a Memory,
    now: Timestamp,
    /// Containers that are to be started, in order.
    starts: Vec<&'a Slot>,
    step: Step,
}

impl<'a> Planner<'a> {
    fn act(&mut self, action: Action) {
        self.step.actions.push(action);
    }

    fn look_again(&mut self, at: Timestamp) {
        self.step.again = Some(self.step.again.map_or(at, |known| known.min(at)));
    }

    /// What the node does not let any pod do. A pod that is on its way down goes there anyway.
    fn forbidden(&self) -> Option<Doom> {
        let message = if self.ending() { None } else { sysctls::forbidden(self.desired) };
        message.map(|message| Doom { reason: "SysctlForbidden", message })
    }

    fn deadline_exceeded(&mut self) -> Option<Doom> {
        let limit = self.desired.spec().active_deadline_seconds?;
        if self.memory.doom.is_some() || self.desired.recorded_end().is_some() || ended(self.desired, self.observed) {
            return None;
        }
        let end = self.memory.started_at?.saturating_add(SignedDuration::from_secs(limit)).ok()?;
        if end > self.now {
            self.look_again(end);
            return None;
        }
        Some(Doom {
            reason: "DeadlineExceeded",
            message: "Pod was active on the node longer than the specified deadline".into(),
        })
    }

    fn ending(&self) -> bool {
        self.desired.deleted()
            || self.memory.forgotten
            || self.memory.doom.is_some()
            || self.desired.recorded_end().is_some()
            || ended(self.desired, self.observed)
    }

    /// The way down: containers, sandbox, volumes, and then the API object if its deletion was asked for.
    fn end(&mut self) {
        let quiet = self.stop_containers();
        if !quiet || self.memory.busy() {
            return;
        }
        let ready: Vec<_> = self.observed.sandboxes.iter().filter(|sandbox| sandbox.ready).collect();
        if !ready.is_empty() {
            ready.iter().for_each(|sandbox| self.act(Action::StopSandbox { id: sandbox.id.clone() }));
        } else if let Some(at) = self.memory.retry_at.filter(|at| *at > self.now) {
            self.look_again(at);
        } else if self.memory.volumes != Volumes::Unmounted {
            self.act(Action::UnmountVolumes);
        } else if self.desired.deleted() || self.memory.forgotten {
            self.act(Action::Finish);
        }
    }

    /// Stops what is alive, sidecars after all others and in reverse order. Returns whether nothing is alive.
    fn stop_containers(&mut self) -> bool {
        let observed = self.observed;
        let (sidecars, others): (Vec<_>, Vec<_>) = observed.alive().partition(|container| self.is_sidecar(container));
        let group = match others.is_empty() {
            false => others,
            true => self.last_started(&sidecars).into_iter().collect(),
        };
        let quiet = group.is_empty();
        for container in group {
            self.stop(container, self.desired.grace(), format!("Stopping container {}", container.name));
        }
        quiet
    }

    fn is_sidecar(&self, container: &Container) -> bool {
        self.desired.slot(&container.name).is_some_and(|slot| slot.kind == Kind::Sidecar)
    }

    fn last_started(&self, sidecars: &[&'a Container]) -> Option<&'a Container> {
        let place = |name: &str| self.desired.slots.iter().position(|slot| slot.name() == name);
        sidecars.iter().copied().max_by_key(|container| place(&container.name))
    }

    /// Stops a container unless it is being stopped with no more grace than this.
    fn stop(&mut self, container: &Container, grace: i64, why: String) {
        if self.memory.stopping.get(&container.id).is_some_and(|given| *given <= grace) {
            return;
        }
        self.act(Action::StopContainer { id: container.id.clone(), name: container.name.clone(), grace, why });
    }

    fn remove(&mut self, container: &Container) {
        if !self.memory.removing.contains(&container.id) {
            self.act(Action::RemoveContainer { id: container.id.clone(), name: container.name.clone() });
        }
    }

    /// The way up: volumes, sandbox, init containers, containers.
    fn run(&mut self) {
        if let Some(at) = self.memory.retry_at.filter(|at| *at > self.now) {
            return self.look_again(at);
        }
        match self.memory.volumes {
            Volumes::Busy => return,
            Volumes::Unknown | Volumes::Unmounted => return self.act(Action::MountVolumes),
            Volumes::Mounted => {}
        }
        if self.memory.sandbox_busy {
            return;
        }
        match self.observed.sandbox() {
            Some(sandbox) if sandbox.ready => self.run_in(sandbox),
            _ => self.replace_sandbox(),
        }
    }

    /// Makes the first sandbox, or the next after one that died; what still runs in the dead one is stopped first.
    fn replace_sandbox(&mut self) {
        let observed = self.observed;
        if observed.alive().next().is_some() {
            for container in observed.alive() {
                let why = "Pod sandbox changed, it will be killed and re-created.".to_owned();
                self.stop(container, self.desired.grace(), why);
            }
            return;
        }
        if self.memory.busy() {
            return;
        }
        let attempt = observed.sandbox().map_or(0, |sandbox| sandbox.attempt + 1);
        self.act(Action::CreateSandbox { attempt });
    }

    fn run_in(&mut self, sandbox: &Sandbox) {
        let desired = self.desired;
        desired.of_kind(Kind::Ephemeral).for_each(|slot| self.keep(slot, sandbox));
        if self.initialized(sandbox) {
            desired.of_kind(Kind::Sidecar).for_each(|slot| self.keep(slot, sandbox));
            desired.of_kind(Kind::App).for_each(|slot| self.keep(slot, sandbox));
        } else if self.initialize(sandbox) {
            desired.of_kind(Kind::App).for_each(|slot| self.keep(slot, sandbox));
        }
        self.start_first();
    }

    /// Once an app container was made in the sandbox, init containers are over, whatever is left of them.
    fn initialized(&self, sandbox: &Sandbox) -> bool {
        self.desired.of_kind(Kind::App).any(|slot| self.observed.newest_in(&sandbox.id, slot.name()).is_some())
    }

    /// Walks the init containers in order up to the first that is not through. Returns whether all are.
    fn initialize(&mut self, sandbox: &Sandbox) -> bool {
        let desired = self.desired;
        for slot in desired.initial() {
            let newest = self.observed.newest_in(&sandbox.id, slot.name());
            let through = match slot.kind {
                Kind::Sidecar => newest.is_some_and(|container| self.sidecar_started(slot, container)),
                _ => newest.and_then(Container::exit).is_some_and(|exit| exit.code == 0),
            };
            if !through || slot.kind == Kind::Sidecar {
                self.keep(slot, sandbox);
            }
            if !through {
                return false;
            }
        }
        true
    }

    fn sidecar_started(&self, slot: &Slot, container: &Container) -> bool {
        let name = slot.name();
        let hook_done = self.memory.starting.as_deref() != Some(name);
        let probed = slot.container.startup_probe.is_none()
            || self.memory.probed(name, &container.id).is_some_and(|probed| probed.started);
        container.running() && hook_done && probed
    }

    /// Starts, replaces or leaves alone the container of one slot.
    fn keep(&mut self, slot: &'a Slot, sandbox: &Sandbox) {
        let newest = match slot.kind {
            Kind::Init | Kind::Sidecar => self.observed.newest_in(&sandbox.id, slot.name()),
            Kind::App | Kind::Ephemeral => self.observed.newest(slot.name()),
        };
        let Some(container) = newest else {
            return self.starts.push(slot);
        };
        match &container.state {
            _ if self.memory.starting.as_deref() == Some(slot.name()) => {}
            State::Running { .. } => self.replace_if_unfit(slot, container),
            State::Unknown => {
                let why = format!("Container {} is in an unknown state, try killing it before restart", slot.name());
                self.stop(container, self.desired.grace(), why);
            }
            State::Created => self.remove(container),
            State::Exited(exit) if restarts(self.desired, slot, exit.code) => self.starts.push(slot),
            State::Exited(_) => {}
        }
    }

    /// Stops a running container whose definition changed or whose probes gave it up.
    fn replace_if_unfit(&mut self, slot: &Slot, container: &Container) {
        let (mut why, grace, restart) = if slot.kind != Kind::Ephemeral && container.hash != slot.hash {
            (format!("Container {} definition changed", slot.name()), None, true)
        } else if let Some(failed) = self.memory.probed(slot.name(), &container.id).and_then(|p| p.failed.as_ref()) {
            let restart = restarts(self.desired, slot, 137);
            (format!("Container {} failed {} probe", slot.name(), failed.probe), failed.grace, restart)
        } else {
            return;
        };
        if restart {
            why.push_str(", will be restarted");
        }
        self.stop(container, grace.unwrap_or_else(|| self.desired.grace()), why);
    }

    /// Starts the first container that need not wait; one at a time, so that a postStart hook holds back the next.
    fn start_first(&mut self) {
        if self.memory.starting.is_some() {
            return;
        }
        for slot in std::mem::take(&mut self.starts) {
            match self.wait(slot) {
                Some(until) => self.look_again(until),
                None => {
                    let attempt = self.observed.newest(slot.name()).map_or(0, |container| container.attempt + 1);
                    return self.act(Action::StartContainer { name: slot.name().to_owned(), attempt });
                }
            }
        }
    }

    /// Until when a container's start has to wait, if it has to.
    fn wait(&mut self, slot: &Slot) -> Option<Timestamp> {
        let memory = self.memory.of(slot.name());
        let exited = self.observed.newest(slot.name()).and_then(|container| Some((container, container.exit()?)));
        match (&memory.error, exited) {
            (Some(error), _) if error.is_pull() => self.wait_for_pull(slot),
            (Some(error), _) if error.before_start() => {
                error.at.saturating_add(CONFIG_RETRY).ok().filter(|until| *until > self.now)
            }
            (_, Some((container, exit))) => {
                let until = memory.restarts.until(exit.finished_at, self.now)?;
                if memory.announced.as_ref() != Some(&container.id) {
                    let (name, container) = (slot.name().to_owned(), container.id.clone());
                    self.act(Action::AnnounceRestart { name, container });
                }
                Some(until)
            }
            _ => None,
        }
    }

    fn wait_for_pull(&mut self, slot: &Slot) -> Option<Timestamp> {
        let memory = self.memory.of(slot.name());
        let error = memory.error.as_ref()?;
        let until = memory.pulls.until(error.at, self.now)?;
        let shown = error.at.saturating_add(PULL_ERROR_SHOWN).unwrap_or(until);
        if error.reason == "ImagePullBackOff" {
            return Some(until);
        }
        if shown > self.now {
            return Some(shown.min(until));
        }
        self.act(Action::AnnouncePull { name: slot.name().to_owned() });
        Some(until)
    }

    /// Removes containers and sandboxes that nobody will look at again.
    fn collect(&mut self) {
        let observed = self.observed;
        let mut kept = Vec::new();
        for slot in &self.desired.slots {
            let of_name = observed.containers.iter().filter(|container| container.name == slot.name());
            for (place, container) in of_name.enumerate() {
                match container.exit() {
                    Some(_) if place >= KEPT => self.remove(container),
                    // made for an earlier kubelet, which did not live to start it
                    None if place > 0 && container.state == State::Created => self.remove(container),
                    _ => kept.push(&container.sandbox_id),
                }
            }
        }
        if self.memory.sandbox_busy {
            return;
        }
        for sandbox in observed.sandboxes.iter().skip(1) {
            match sandbox.ready {
                true => self.act(Action::StopSandbox { id: sandbox.id.clone() }),
                false if !kept.contains(&&sandbox.id) => self.act(Action::RemoveSandbox { id: sandbox.id.clone() }),
                false => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
