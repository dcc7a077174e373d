//! The table of pods: its status column sums up phase, conditions and containers.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static PODS: &[Column] = &[
    Column::name(),
    Column::text("Ready", |o, _| Summary::of(o).ready().into()),
    Column::text("Status", |o, _| Summary::of(o).reason.into()),
    Column::text("Restarts", |o, now| Summary::of(o).restarts(now).into()),
    Column::age(),
    Column::text("IP", |o, _| match read::text(o, "status.podIP") {
        "" => NONE.into(),
        address => address.into(),
    })
    .wide(),
    Column::text("Node", |o, _| read::text_or(o, "spec.nodeName", NONE).into()).wide(),
    Column::text("Nominated Node", |o, _| read::text_or(o, "status.nominatedNodeName", NONE).into()).wide(),
    Column::text("Readiness Gates", |o, _| readiness_gates(o).into()).wide(),
];

/// What the columns share.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let mut summary = Self {
            reason: read::text_or(pod, "status.reason", read::text(pod, "status.phase")).to_owned(),
            ready: 0,
            total: read::length(pod, "spec.containers"),
            restarts: 0,
            last_restart: None,
        };
        if read::condition(pod, "PodScheduled").is_some_and(|c| read::text(c, "reason") == "SchedulingGated") {
            summary.reason = "SchedulingGated".to_owned();
        }
        let initializing = summary.init_containers(pod);
        if !initializing || read::is_true(pod, "Initialized") {
            summary.containers(pod);
        }
        summary.deletion(pod);
        summary
    }

    /// Looks at init containers; true while one of them holds the pod up.
    fn init_containers(&mut self, pod: &Value) -> bool {
        let specs = read::list(pod, "spec.initContainers");
        let restartable = |name: &str| {
            specs.iter().any(|s| read::text(s, "name") == name && read::text(s, "restartPolicy") == "Always")
        };
        self.total += specs.iter().filter(|s| read::text(s, "restartPolicy") == "Always").count();
        let statuses = read::list(pod, "status.initContainerStatuses");
        let (mut held, mut sidecar_restarts, mut sidecar_last) = (false, 0, None);
        for (i, status) in statuses.iter().enumerate() {
            let sidecar = restartable(read::text(status, "name"));
            self.count(status);
            if sidecar {
                sidecar_restarts += read::integer(status, "restartCount");
                sidecar_last = sidecar_last.max(finished(status));
            }
            if done(status, sidecar, &mut self.ready) {
                continue;
            }
            self.reason = waiting_reason(status, i, specs.len());
            held = true;
            break;
        }
        if !held || read::is_true(pod, "Initialized") {
            (self.restarts, self.last_restart) = (sidecar_restarts, sidecar_last);
        }
        held
    }

    fn containers(&mut self, pod: &Value) {
        let mut running = false;
        for status in read::list(pod, "status.containerStatuses").iter().rev() {
            self.count(status);
            let ready = read::boolean(status, "ready");
            let waiting = read::text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(terminated) = terminated(status) {
                self.reason = terminated_reason(terminated, "");
            } else if ready && read::at(status, "state.running").is_some_and(Value::is_object) {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if read::is_true(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn deletion(&mut self, pod: &Value) {
        if read::text(pod, "metadata.deletionTimestamp").is_empty() {
            return;
        }
        let phase = read::text(pod, "status.phase");
        if read::text(pod, "status.reason") == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            self.reason = "Terminating".to_owned();
        }
    }

    fn count(&mut self, status: &Value) {
        self.restarts += read::integer(status, "restartCount");
        self.last_restart = self.last_restart.max(finished(status));
    }

    fn ready(&self) -> String {
        format!("{}/{}", self.ready, self.total)
    }

    fn restarts(&self, now: Timestamp) -> String {
        match self.last_restart {
            Some(last) if self.restarts != 0 => {
                let ago = object::time::human_duration(now.as_second() - last.as_second());
                format!("{} ({ago} ago)", self.restarts)
            }
            _ => self.restarts.to_string(),
        }
    }
}

/// Whether an init container does not hold the pod up (any more). Counts sidecars that are ready.
fn done(status: &Value, sidecar: bool, ready: &mut usize) -> bool {
    if terminated(status).is_some_and(|t| read::integer(t, "exitCode") == 0) {
        return true;
    }
    if sidecar && read::boolean(status, "started") {
        *ready += usize::from(read::boolean(status, "ready"));
        return true;
    }
    false
}

fn waiting_reason(status: &Value, position: usize, total: usize) -> String {
    if let Some(terminated) = terminated(status) {
        return terminated_reason(terminated, "Init:");
    }
    match read::text(status, "state.waiting.reason") {
        "" | "PodInitializing" => format!("Init:{position}/{total}"),
        reason => format!("Init:{reason}"),
    }
}

fn terminated_reason(terminated: &Value, prefix: &str) -> String {
    let (reason, signal) = (read::text(terminated, "reason"), read::integer(terminated, "signal"));
    if !reason.is_empty() {
        format!("{prefix}{reason}")
    } else if signal != 0 {
        format!("{prefix}Signal:{signal}")
    } else {
        format!("{prefix}ExitCode:{}", read::integer(terminated, "exitCode"))
    }
}

fn terminated(status: &Value) -> Option<&Value> {
    read::at(status, "state.terminated").filter(|t| t.is_object())
}

/// When the container last ended, if it was restarted since.
fn finished(status: &Value) -> Option<Timestamp> {
    object::time::parse(read::text(status, "lastState.terminated.finishedAt"))
}

fn readiness_gates(pod: &Value) -> String {
    let gates = read::list(pod, "spec.readinessGates");
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let met = gates.iter().filter(|gate| read::is_true(pod, read::text(gate, "conditionType"))).count();
    format!("{met}/{}", gates.len())
}
