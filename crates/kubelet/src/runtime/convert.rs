//! CRI messages as the pod worker sees them.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use crate::container::labels;
use crate::pod::observed::{Container, Exit, Sandbox, State};

/// A sandbox from its status.
#[must_use]
pub fn sandbox(status: &cri::PodSandboxStatus) -> Sandbox {
    let network = status.network.as_ref();
    let first = network.map(|network| network.ip.as_str());
    let more = network.into_iter().flat_map(|network| network.additional_ips.iter().map(|ip| ip.ip.as_str()));
    let ips: Vec<IpAddr> = first.into_iter().chain(more).filter_map(|ip| ip.parse().ok()).collect();
    Sandbox {
        id: status.id.clone(),
        attempt: status.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
        ready: status.state == cri::PodSandboxState::Ready as i32,
        created_at: time(status.created_at),
        ips,
    }
}

/// A container from its status. `message` is what the runtime and the container itself had to say at the end.
#[must_use]
pub fn container(status: &cri::ContainerStatus, sandbox_id: &str, message: String) -> Container {
    let annotation = |key: &str| status.annotations.get(key).cloned().unwrap_or_default();
    let metadata = status.metadata.clone().unwrap_or_default();
    let image_ref = match status.image_ref.is_empty() {
        true => status.image_id.clone(),
        false => status.image_ref.clone(),
    };
    Container {
        id: status.id.clone(),
        sandbox_id: sandbox_id.to_owned(),
        attempt: annotation(labels::RESTART_COUNT).parse().unwrap_or(metadata.attempt),
        name: metadata.name,
        image: status.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
        image_ref,
        hash: annotation(labels::CONTAINER_HASH),
        created_at: time(status.created_at),
        state: state(status, message),
        log_path: status.log_path.clone(),
    }
}

fn state(status: &cri::ContainerStatus, message: String) -> State {
    let started_at = (status.started_at > 0).then(|| time(status.started_at));
    match cri::ContainerState::try_from(status.state) {
        Ok(cri::ContainerState::Created) => State::Created,
        Ok(cri::ContainerState::Running) => {
            State::Running { started_at: started_at.unwrap_or_else(|| time(status.created_at)) }
        }
        Ok(cri::ContainerState::Exited) => State::Exited(Exit {
            code: status.exit_code,
            reason: status.reason.clone(),
            message,
            started_at,
            finished_at: time(if status.finished_at > 0 { status.finished_at } else { status.created_at }),
        }),
        Ok(cri::ContainerState::Unknown) | Err(_) => State::Unknown,
    }
}

/// Nanoseconds since the epoch.
fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_nanos(nanoseconds)).unwrap_or_default()
}
