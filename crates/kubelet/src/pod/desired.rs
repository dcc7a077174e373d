//! The pod as its worker wants it: the API object with all its containers in one list.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use sha2::{Digest, Sha256};

/// What kind of container a slot of the pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Runs to completion before the next one starts.
    Init,
    /// An init container with restart policy `Always`: starts in order, then runs beside the others.
    Sidecar,
    App,
    /// Added to a running pod for debugging; started once, never restarted.
    Ephemeral,
}

/// One container of the pod's spec.
#[derive(Debug, Clone)]
pub struct Slot {
    pub kind: Kind,
    pub container: Container,
    /// Changes when the container has to be replaced; runtimes carry it as a label.
    pub hash: String,
}

impl Slot {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.container.name
    }
}

/// A pod to run, with its containers in start order: init containers, app containers, ephemeral containers.
#[derive(Debug, Clone)]
pub struct Desired {
    pub pod: Arc<Pod>,
    pub slots: Vec<Slot>,
}

impl Desired {
    #[must_use]
    pub fn new(pod: Arc<Pod>) -> Self {
        let slots = pod.spec.as_ref().map(slots).unwrap_or_default();
        Self { pod, slots }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `name_namespace(uid)`, as messages name a pod.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}_{}({})", self.name(), self.namespace(), self.uid())
    }

    #[must_use]
    pub fn spec(&self) -> &PodSpec {
        static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
        self.pod.spec.as_ref().unwrap_or(&EMPTY)
    }

    #[must_use]
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name() == name)
    }

    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |slot| slot.kind == kind)
    }

    /// Init containers and sidecars, in start order.
    pub fn initial(&self) -> impl DoubleEndedIterator<Item = &Slot> {
        self.slots.iter().filter(|slot| matches!(slot.kind, Kind::Init | Kind::Sidecar))
    }

    #[must_use]
    pub fn restart_policy(&self) -> &str {
        self.spec().restart_policy.as_deref().unwrap_or("Always")
    }

    #[must_use]
    pub fn host_network(&self) -> bool {
        self.spec().host_network.unwrap_or(false)
    }

    /// Whether the API has asked for the pod's deletion.
    #[must_use]
    pub fn deleted(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Seconds that containers get to end by themselves.
    #[must_use]
    pub fn grace(&self) -> i64 {
        let own = self.spec().termination_grace_period_seconds.unwrap_or(30);
        match self.deleted() {
            true => self.pod.metadata.deletion_grace_period_seconds.unwrap_or(own).max(1),
            false => own,
        }
    }

    /// The phase that the API object already shows, when no later one can follow it.
    #[must_use]
    pub fn recorded_end(&self) -> Option<&str> {
        let phase = self.pod.status.as_ref()?.phase.as_deref()?;
        matches!(phase, "Succeeded" | "Failed").then_some(phase)
    }
}

fn slots(spec: &PodSpec) -> Vec<Slot> {
    let initial = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        slot(if sidecar { Kind::Sidecar } else { Kind::Init }, container.clone())
    });
    let app = spec.containers.iter().map(|container| slot(Kind::App, container.clone()));
    let ephemeral = spec.ephemeral_containers.iter().flatten().filter_map(|container| {
        // an ephemeral container is a container with one more field
        let value = serde_json::to_value(container).ok()?;
        Some(slot(Kind::Ephemeral, serde_json::from_value(value).ok()?))
    });
    initial.chain(app).chain(ephemeral).collect()
}

fn slot(kind: Kind, container: Container) -> Slot {
    let hash = hash(&container);
    Slot { kind, container, hash }
}

/// Only the name and the image of a running container's spec can change what has to run.
fn hash(container: &Container) -> String {
    let mut hasher = Sha256::new();
    hasher.update(container.name.as_bytes());
    hasher.update([0]);
    hasher.update(container.image.as_deref().unwrap_or_default().as_bytes());
    hex::encode(&hasher.finalize()[..8])
}
