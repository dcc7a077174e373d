//! Telling pod workers that the runtime did something to their pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::Shutdown;
use tokio::sync::{Notify, mpsc};
use tonic::{Code, Request};

use super::Runtime;
use super::observe::{Owner, Sweep};

/// How often runtimes without events are swept.
const SWEEP: Duration = Duration::from_secs(1);
/// How often those with events are, for events that got lost.
const SAFETY_SWEEP: Duration = Duration::from_secs(60);
const RECONNECT: Duration = Duration::from_secs(1);

/// Workers by the uid of their pod; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Wakers(Arc<Mutex<BTreeMap<String, Arc<Notify>>>>);

impl Wakers {
    /// The signal for pod `uid`.
    pub fn register(&self, uid: &str) -> Arc<Notify> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.entry(uid.to_owned()).or_default().clone()
    }

    pub fn remove(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Wakes the worker of `uid`. Returns whether there is one.
    pub fn wake(&self, uid: &str) -> bool {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = map.get(uid);
        if let Some(notify) = known {
            notify.notify_one();
        }
        known.is_some()
    }
}

/// Watches the runtime until shutdown: by its events where it has them, by sweeps where not. Pods without a worker go
/// to `strays`.
pub async fn watch(runtime: Runtime, node: String, wakers: Wakers, strays: mpsc::Sender<Owner>, shutdown: Shutdown) {
    let mut watcher = Watcher { runtime, node, wakers, strays, last: Sweep::new() };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = watcher.run() => {}
    }
}

struct Watcher {
    runtime: Runtime,
    node: String,
    wakers: Wakers,
    strays: mpsc::Sender<Owner>,
    last: Sweep,
}

impl Watcher {
    async fn run(&mut self) {
        loop {
            self.sweep().await;
            let request = Request::new(cri::GetEventsRequest {});
            match self.runtime.client().get_container_events(request).await {
                Ok(stream) => self.follow(stream.into_inner()).await,
                Err(status) if status.code() == Code::Unimplemented => return self.sweep_for_ever().await,
                Err(status) => tracing::warn!(%status, "the container runtime gives no events, trying again"),
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn follow(&mut self, mut events: tonic::Streaming<cri::ContainerEventResponse>) {
        loop {
            match tokio::time::timeout(SAFETY_SWEEP, events.message()).await {
                Ok(Ok(Some(event))) => {
                    let metadata = event.pod_sandbox_status.and_then(|status| status.metadata);
                    if let Some(metadata) = metadata {
                        self.wakers.wake(&metadata.uid);
                    }
                }
                Ok(Ok(None) | Err(_)) => return,
                Err(_) => self.sweep().await,
            }
        }
    }

    async fn sweep_for_ever(&mut self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.sweep().await;
        }
    }

    async fn sweep(&mut self) {
        let sweep = match self.runtime.sweep(&self.node).await {
            Ok(sweep) => sweep,
            Err(status) => return tracing::warn!(%status, "listing pods of the container runtime"),
        };
        for (owner, states) in &sweep {
            if self.last.get(owner) == Some(states) {
                continue;
            }
            if !self.wakers.wake(&owner.uid) {
                let _ = self.strays.send(owner.clone()).await;
            }
        }
        for owner in self.last.keys().filter(|owner| !sweep.contains_key(owner)) {
            self.wakers.wake(&owner.uid);
        }
        self.last = sweep;
    }
}
