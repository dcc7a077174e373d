//! The state of a runtime: sandboxes and containers, and what they are made with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host::{Host, OnEnd};
use shim::cgroup::Hierarchies;
use tokio::sync::{broadcast, oneshot};

use crate::container::Container;
use crate::error::{Attempt as _, Error, Result};
use crate::image::Images;
use crate::layout::Layout;
use crate::options::Options;
use crate::sandbox::Sandbox;
use crate::shim::Program;
use crate::stream::Streaming;

/// Events that a slow subscriber may be behind.
const EVENTS: usize = 1024;

/// Shared by everything that serves requests.
pub(crate) struct Engine {
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) hierarchies: Hierarchies,
    pub(crate) program: Program,
    pub(crate) images: Images,
    pub(crate) host: Host,
    pub(crate) streaming: Streaming,
    events: broadcast::Sender<cri::ContainerEventResponse>,
    sandboxes: Mutex<BTreeMap<String, Arc<Sandbox>>>,
    containers: Mutex<BTreeMap<String, Arc<Container>>>,
}

impl Engine {
    pub(crate) fn new(
        options: Options,
        layout: Layout,
        hierarchies: Hierarchies,
        program: Program,
        images: Images,
        host: Host,
        streaming: Streaming,
    ) -> Self {
        Self {
            options,
            layout,
            hierarchies,
            program,
            images,
            host,
            streaming,
            events: broadcast::Sender::new(EVENTS),
            sandboxes: Mutex::default(),
            containers: Mutex::default(),
        }
    }

    /// Carries an operation to its end even if whoever asked for it goes away.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        self.host.tasks.spawn("runtime operation", OnEnd::Expected, async move {
            // Nobody may wait any more.
            let _ = done.send(operation.await);
        });
        result.await.attempt(|| "finishing an operation".into())?
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from(self.host.now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    /// A new id: 64 hexadecimal digits.
    pub(crate) fn new_id(&self) -> String {
        let mut bytes = [0; 32];
        self.host.entropy.fill(&mut bytes);
        hex::encode(bytes)
    }

    /// The root of the instance's cgroups.
    pub(crate) fn cgroup_root(&self) -> String {
        format!("/coracle-{}", self.options.instance)
    }

    /// The cgroup that shims are in, apart from those that pods are accounted in.
    pub(crate) fn shim_cgroup(&self) -> String {
        format!("{}/shims", self.cgroup_root())
    }

    /// The sandbox with an id, which may be shortened as long as it is unique.
    pub(crate) fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>> {
        unique(&self.lock_sandboxes(), id).ok_or_else(|| Error::NotFound(format!("sandbox {id:?}")))
    }

    /// The container with an id, which may be shortened as long as it is unique.
    pub(crate) fn container(&self, id: &str) -> Result<Arc<Container>> {
        unique(&self.lock_containers(), id).ok_or_else(|| Error::NotFound(format!("container {id:?}")))
    }

    pub(crate) fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.lock_sandboxes().values().cloned().collect()
    }

    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        self.lock_containers().values().cloned().collect()
    }

    pub(crate) fn containers_of(&self, sandbox: &str) -> Vec<Arc<Container>> {
        self.lock_containers().values().filter(|container| container.sandbox == sandbox).cloned().collect()
    }

    pub(crate) fn insert_sandbox(&self, sandbox: Arc<Sandbox>) {
        self.lock_sandboxes().insert(sandbox.id.clone(), sandbox);
    }

    pub(crate) fn insert_container(&self, container: Arc<Container>) {
        self.lock_containers().insert(container.id.clone(), container);
    }

    pub(crate) fn forget_sandbox(&self, id: &str) {
        self.lock_sandboxes().remove(id);
    }

    pub(crate) fn forget_container(&self, id: &str) {
        self.lock_containers().remove(id);
    }

    /// Events from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<cri::ContainerEventResponse> {
        self.events.subscribe()
    }

    /// Tells subscribers what happened to a container, or to a sandbox itself.
    pub(crate) fn tell(&self, id: &str, sandbox: &str, kind: cri::ContainerEventType) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let event = cri::ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: kind.into(),
            created_at: self.now(),
            pod_sandbox_status: self.sandbox(sandbox).ok().map(|sandbox| sandbox.status()),
            containers_statuses: self.containers_of(sandbox).iter().map(|container| container.status(self)).collect(),
        };
        // Nobody may listen any more.
        let _ = self.events.send(event);
    }

    /// Removes layers that neither an image nor a container stands on.
    pub(crate) async fn collect_layers(&self) -> Result<()> {
        let mut used: BTreeSet<String> = self.images.used_layers();
        used.extend(self.containers().iter().flat_map(|container| container.layers()));
        self.images.layers().collect(used).await
    }

    fn lock_sandboxes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Sandbox>>> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_containers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Container>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value whose key begins with `prefix`, if there is exactly one.
fn unique<T: Clone>(map: &BTreeMap<String, T>, prefix: &str) -> Option<T> {
    if prefix.is_empty() {
        return None;
    }
    let mut found = map.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
    let (key, value) = found.next()?;
    (key == prefix || found.next().is_none()).then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_be_shortened_while_unique() {
        let map = BTreeMap::from([("abc".to_owned(), 1), ("abd".to_owned(), 2), ("abcd".to_owned(), 3)]);
        assert_eq!(unique(&map, "abc"), Some(1));
        assert_eq!(unique(&map, "abd"), Some(2));
        assert_eq!(unique(&map, "ab"), None);
        assert_eq!(unique(&map, ""), None);
        assert_eq!(unique(&map, "x"), None);
    }
}
