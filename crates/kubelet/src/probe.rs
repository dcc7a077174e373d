//! Probes of running containers.

pub mod counter;
pub mod grpc;
pub mod http;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic::Code;

use crate::context::Context;
use crate::events::Level;
use crate::pod::desired::{Desired, Slot};
use counter::Counter;

/// Most of a probe's output that is shown.
const MAX_OUTPUT: usize = 10 << 10;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    #[must_use]
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// What one look at a container gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure(String),
    /// The probe itself did not work; counts as neither.
    Error(String),
}

/// A verdict that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub container: String,
    pub id: String,
    pub kind: Kind,
    pub success: bool,
}

/// One container to probe.
#[derive(Debug, Clone)]
pub struct Target {
    pub desired: Arc<Desired>,
    pub slot: Slot,
    pub id: String,
    pub started_at: Timestamp,
    /// Where to reach the container: the pod's address, or the node's.
    pub address: Option<IpAddr>,
}

/// Probes `target` until it is dropped, and reports each change of the verdict.
pub async fn run(context: Arc<Context>, target: Target, kind: Kind, reports: mpsc::Sender<Report>) {
    let Some(probe) = kind.of(&target.slot.container).cloned() else { return };
    let delay = seconds(probe.initial_delay_seconds, 0);
    let age = Duration::try_from(context.host.now().duration_since(target.started_at)).unwrap_or_default();
    tokio::time::sleep(delay.saturating_sub(age)).await;
    let mut counter = Counter::new(kind, &probe);
    let mut ticks = tokio::time::interval(seconds(probe.period_seconds, 10).max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = look(&context, &target, &probe).await;
        tell(&context, &target, kind, &outcome);
        let Some(success) = counter.count(&outcome) else { continue };
        let report = Report { container: target.slot.name().to_owned(), id: target.id.clone(), kind, success };
        let over = kind == Kind::Startup || (kind == Kind::Liveness && !success);
        if reports.send(report).await.is_err() || over {
            return;
        }
    }
}

fn tell(context: &Context, target: &Target, kind: Kind, outcome: &Outcome) {
    let (verb, words) = match outcome {
        Outcome::Success => return,
        Outcome::Failure(words) => ("failed", words),
        Outcome::Error(words) => ("errored", words),
    };
    let message = format!("{} probe {verb}: {words}", kind.title());
    context.container_event(&target.desired, &target.slot, Level::Warning, "Unhealthy", message);
}

/// Looks once, within the probe's timeout.
async fn look(context: &Context, target: &Target, probe: &Probe) -> Outcome {
    let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    if let Some(exec) = &probe.exec {
        return look_inside(context, target, exec.command.as_deref().unwrap_or_default(), limit).await;
    }
    let Some(address) = target.address else { return Outcome::Error("the pod has no address".into()) };
    let container = &target.slot.container;
    if let Some(action) = &probe.http_get {
        match http::Target::new(action, container, address) {
            Ok(http_target) => http::get(&http_target, limit).await,
            Err(words) => Outcome::Error(words),
        }
    } else if let Some(action) = &probe.tcp_socket {
        let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| address.to_string());
        match port(&action.port, container) {
            Ok(port) => dial(&host, port, limit).await,
            Err(words) => Outcome::Error(words),
        }
    } else if let Some(action) = &probe.grpc {
        let service = action.service.as_deref().unwrap_or_default();
        grpc::check(address, u16::try_from(action.port).unwrap_or(0), service, limit).await
    } else {
        Outcome::Error("missing probe handler".into())
    }
}

async fn look_inside(context: &Context, target: &Target, command: &[String], limit: Duration) -> Outcome {
    match context.runtime.exec(&target.id, command, limit).await {
        Ok(answer) => {
            let mut output = answer.stdout;
            output.extend_from_slice(&answer.stderr);
            output.truncate(MAX_OUTPUT);
            let output = String::from_utf8_lossy(&output).into_owned();
            if answer.exit_code == 0 { Outcome::Success } else { Outcome::Failure(output) }
        }
        Err(status) if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) => {
            Outcome::Failure(format!("command timed out: {:?} timed out after {limit:?}", command.join(" ")))
        }
        Err(status) => Outcome::Error(status.message().to_owned()),
    }
}

/// Whether a TCP port takes connections.
async fn dial(host: &str, port: u16, limit: Duration) -> Outcome {
    match tokio::time::timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Outcome::Success,
        Ok(Err(error)) => Outcome::Failure(format!("dial tcp {host}:{port}: {error}")),
        Err(_) => Outcome::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

/// A port by number, or by its name among the container's ports.
pub(crate) fn port(given: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match given {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port);
            named.or_else(|| name.parse().ok())
        }
    };
    let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
    port.ok_or_else(|| format!("invalid port {given:?}"))
}

fn seconds(given: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(given.and_then(|given| u64::try_from(given).ok()).unwrap_or(default))
}
