//! Who owns whom, over the metadata of all objects of all deletable types.

mod feed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use informer::{Metadata, Object};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use tokio::sync::{Notify, watch};

use crate::discovery::Discovered;
use crate::resource::{Resource, Target};

pub use feed::Everything;

/// The ownership graph; cheap to clone. Nodes are named by uid.
#[derive(Debug, Clone)]
pub struct Graph(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    /// Counts changes; 0 until the first content of all types has arrived.
    version: watch::Sender<u64>,
    /// The uids whose situation may have changed since they were last taken.
    touched: Mutex<BTreeSet<Box<str>>>,
    touch: Notify,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<Box<str>, Node>,
    /// By the owner's uid, whether or not that exists.
    dependents: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    types: BTreeMap<(String, String), Arc<Discovered>>,
}

/// An object.
#[derive(Debug, Clone)]
pub struct Node {
    pub of: Arc<Discovered>,
    pub object: Arc<Metadata>,
}

impl Node {
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            resource: self.of.resource.clone(),
            namespace: self.object.namespace().map(str::to_owned),
            name: self.object.name().to_owned(),
        }
    }

    #[must_use]
    pub fn owners(&self) -> &[OwnerReference] {
        &self.object.metadata.owner_references
    }

    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    #[must_use]
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.object.metadata.finalizers.iter().any(|finalizer| finalizer == name)
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: RwLock::default(),
            version: watch::Sender::new(0),
            touched: Mutex::default(),
            touch: Notify::new(),
        }))
    }
}

impl Graph {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn node(&self, uid: &str) -> Option<Node> {
        self.read().nodes.get(uid).cloned()
    }

    /// The objects that name `uid` as an owner, by uid.
    #[must_use]
    pub fn dependents(&self, uid: &str) -> Vec<Node> {
        let state = self.read();
        let uids = state.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| state.nodes.get(uid).cloned()).collect()
    }

    /// The type an owner reference means, at the version the graph watches it.
    #[must_use]
    pub fn type_of(&self, owner: &OwnerReference) -> Option<Arc<Discovered>> {
        let group = owner.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        self.read().types.get(&(group.to_owned(), owner.kind.clone())).cloned()
    }

    #[cfg(test)]
    pub(crate) fn uids(&self) -> Vec<Box<str>> {
        self.read().nodes.keys().cloned().collect()
    }

    /// Waits until the content of all types has arrived once.
    pub async fn synced(&self) {
        self.until(|_| true).await;
    }

    /// Waits until the object `uid` is at `revision`, or a newer one, or gone. An object the graph does not hold is gone.
    pub async fn reached(&self, uid: &str, revision: u64) {
        self.until(|state| state.nodes.get(uid).is_none_or(|node| node.object.revision() >= revision)).await;
    }

    /// Waits until the object `uid` is gone or being deleted.
    pub async fn gone(&self, uid: &str) {
        self.until(|state| state.nodes.get(uid).is_none_or(Node::is_leaving)).await;
    }

    async fn until(&self, done: impl Fn(&State) -> bool) {
        let mut version = self.0.version.subscribe();
        let seen = version.wait_for(|version| *version > 0 && done(&self.read())).await;
        seen.map(|_| ()).expect("the sender lives as long as self");
    }

    /// Adds or replaces an object.
    pub(crate) fn apply(&self, of: &Arc<Discovered>, object: Arc<Metadata>) {
        let uid: Box<str> = object.uid().into();
        let mut state = self.write();
        let mut touched = BTreeSet::from([uid.clone()]);
        let old = state.nodes.insert(uid.clone(), Node { of: Arc::clone(of), object: Arc::clone(&object) });
        if let Some(old) = &old {
            state.unlink(&uid, &old.object, &mut touched);
        }
        for owner in &object.metadata.owner_references {
            state.dependents.entry(owner.uid.as_str().into()).or_default().insert(uid.clone());
            touched.insert(owner.uid.as_str().into());
        }
        if object.metadata.deletion_timestamp.is_some() {
            touched.extend(state.dependents.get(&uid).into_iter().flatten().cloned());
        }
        drop(state);
        self.announce(touched);
    }

    /// Removes an object.
    pub(crate) fn remove(&self, object: &Metadata) {
        let uid: Box<str> = object.uid().into();
        let mut state = self.write();
        let mut touched = BTreeSet::new();
        if let Some(old) = state.nodes.remove(&uid) {
            state.unlink(&uid, &old.object, &mut touched);
        }
        touched.extend(state.dependents.get(&uid).into_iter().flatten().cloned());
        drop(state);
        self.announce(touched);
    }

    fn announce(&self, mut touched: BTreeSet<Box<str>>) {
        self.0.touched.lock().unwrap_or_else(PoisonError::into_inner).append(&mut touched);
        self.0.touch.notify_one();
        self.0.version.send_if_modified(|version| {
            let live = *version > 0;
            *version += u64::from(live);
            live
        });
    }

    /// Waits for uids whose situation may have changed and takes them. For one taker.
    pub(crate) async fn touched(&self) -> BTreeSet<Box<str>> {
        loop {
            let taken = std::mem::take(&mut *self.0.touched.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.0.touch.notified().await;
        }
    }

    pub(crate) fn set_types<'a>(&self, types: impl IntoIterator<Item = &'a Arc<Discovered>>) {
        let key = |resource: &Resource| (resource.group.to_string(), resource.kind.to_string());
        self.write().types = types.into_iter().map(|of| (key(&of.resource), Arc::clone(of))).collect();
    }

    /// The first content of all types has arrived.
    pub(crate) fn bump(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }
}

impl State {
    /// Forgets that `uid` depends on the owners of `object`.
    fn unlink(&mut self, uid: &str, object: &Metadata, touched: &mut BTreeSet<Box<str>>) {
        for owner in &object.metadata.owner_references {
            let owner = owner.uid.as_str();
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
            touched.insert(owner.into());
        }
    }
}
