//! What a pod's worker knows beside the API object and the runtime's state.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::backoff::Backoff;

/// The worker's own knowledge of its pod; lost with the process and rebuilt from the API and the runtime.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// When the kubelet took the pod on.
    pub started_at: Option<Timestamp>,
    pub volumes: Volumes,
    /// When the next try of whatever failed for the whole pod (volumes, sandbox) is due.
    pub retry_at: Option<Timestamp>,
    /// Whether a sandbox is being made or stopped.
    pub sandbox_busy: bool,
    /// The container that is being pulled, created or started.
    pub starting: Option<String>,
    /// Containers that are being stopped, by id, with the grace they were given.
    pub stopping: BTreeMap<String, i64>,
    /// Containers that are being removed, by id.
    pub removing: BTreeSet<String>,
    pub containers: BTreeMap<String, ContainerMemory>,
    /// Why the pod must end although the API has not asked for its deletion.
    pub doom: Option<Doom>,
    /// The object is gone from the API.
    pub forgotten: bool,
}

/// Where the pod's volumes stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Volumes {
    /// Not set up by this process; after a restart they may be there all the same.
    #[default]
    Unknown,
    Busy,
    Mounted,
    Unmounted,
}

/// A pod's end decided on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doom {
    pub reason: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerMemory {
    /// Why the last start failed.
    pub error: Option<StartError>,
    pub restarts: Backoff,
    pub pulls: Backoff,
    /// The exited container whose back-off has been announced.
    pub announced: Option<String>,
    pub probes: Option<Probed>,
}

/// What the probes say of one running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    pub id: String,
    pub started: bool,
    pub ready: bool,
    /// The probe that wants the container replaced.
    pub failed: Option<Failed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// `liveness` or `startup`.
    pub probe: &'static str,
    /// The probe's own grace, when it has one.
    pub grace: Option<i64>,
}

/// Why a container could not be started: a waiting reason as users see it, and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    pub reason: &'static str,
    pub message: String,
    pub at: Timestamp,
}

impl Memory {
    #[must_use]
    pub fn of(&self, name: &str) -> &ContainerMemory {
        static EMPTY: ContainerMemory = ContainerMemory {
            error: None,
            restarts: Backoff::NONE,
            pulls: Backoff::NONE,
            announced: None,
            probes: None,
        };
        self.containers.get(name).unwrap_or(&EMPTY)
    }

    pub fn of_mut(&mut self, name: &str) -> &mut ContainerMemory {
        self.containers.entry(name.to_owned()).or_default()
    }

    /// What the probes say of container `id`, if they have looked at it.
    #[must_use]
    pub fn probed(&self, name: &str, id: &str) -> Option<&Probed> {
        self.of(name).probes.as_ref().filter(|probed| probed.id == id)
    }

    /// Whether any operation on the runtime or on the volumes is under way.
    #[must_use]
    pub fn busy(&self) -> bool {
        self.sandbox_busy
            || self.starting.is_some()
            || !self.stopping.is_empty()
            || !self.removing.is_empty()
            || self.volumes == Volumes::Busy
    }
}

impl StartError {
    /// Whether the image could not be pulled, which has a back-off of its own.
    #[must_use]
    pub fn is_pull(&self) -> bool {
        matches!(self.reason, "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "SignatureValidationFailed")
    }

    /// Whether no container came of the attempt.
    #[must_use]
    pub fn before_start(&self) -> bool {
        !matches!(self.reason, "RunContainerError" | "PostStartHookError")
    }
}
