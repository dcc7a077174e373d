//! What a step may look at: caches, answers to what an earlier plan asked, and how the last plan failed.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use informer::Cache;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

use crate::controller::Kind;
use crate::discovery::Discovered;
use crate::graph::Graph;
use crate::plan::{Answer, Query};
use crate::resource::{Resource, Target};

/// Everything a step sees; cheap to clone.
#[derive(Clone, Debug)]
pub struct World {
    caches: Arc<Caches>,
    answers: Arc<BTreeMap<Query, Answer>>,
    failure: Option<Arc<Failure>>,
    nonce: u64,
}

/// How applying the key's last plan failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The action that failed: `create`.
    pub verb: String,
    pub target: Target,
    /// The server's words.
    pub message: String,
    /// The server's machine-readable reason: `Forbidden`.
    pub reason: String,
}

impl World {
    #[must_use]
    pub fn new(caches: Arc<Caches>) -> Self {
        Self { caches, answers: Arc::default(), failure: None, nonce: 0 }
    }

    /// This world with what the driver remembers for one key.
    #[must_use]
    pub fn with(&self, answers: BTreeMap<Query, Answer>, failure: Option<Arc<Failure>>, nonce: u64) -> Self {
        Self { caches: Arc::clone(&self.caches), answers: Arc::new(answers), failure, nonce }
    }

    /// The cache of a type the controller watches.
    #[must_use]
    pub fn cache<K: Kind>(&self) -> &Cache<K> {
        self.caches.typed().expect("a controller declares every type it reads in its watches")
    }

    #[must_use]
    pub fn get<K: Kind>(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        self.cache().get(namespace, name)
    }

    #[must_use]
    pub fn list<K: Kind>(&self) -> Vec<Arc<K>> {
        self.cache().list()
    }

    #[must_use]
    pub fn list_in<K: Kind>(&self, namespace: &str) -> Vec<Arc<K>> {
        self.cache().list_in(namespace)
    }

    /// The objects of `K` whose controller has this uid, by name.
    #[must_use]
    pub fn controlled<K: Kind>(&self, uid: &str) -> Vec<Arc<K>> {
        self.cache().index(CONTROLLER_INDEX, controller_values::<K>).get(uid)
    }

    /// The objects of `K` in `namespace` that have no controller, by name.
    #[must_use]
    pub fn orphans<K: Kind>(&self, namespace: &str) -> Vec<Arc<K>> {
        self.cache().index(CONTROLLER_INDEX, controller_values::<K>).get(&orphan_value(namespace))
    }

    /// The metadata of all objects of all deletable types.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.caches.graph.as_ref().expect("a controller declares the graph in its watches")
    }

    /// The live object, if the last plan asked for it: `Some(None)` when the server has none.
    #[must_use]
    pub fn live(&self, target: &Target) -> Option<Option<&Value>> {
        match self.answers.get(&Query::Get(target.clone()))? {
            Answer::Object(object) => Some(object.as_ref()),
            _ => None,
        }
    }

    /// The answer to a query of the last plan.
    #[must_use]
    pub fn answer(&self, query: &Query) -> Option<&Answer> {
        self.answers.get(query)
    }

    /// What the server serves, if the last plan asked.
    #[must_use]
    pub fn discovered(&self) -> Option<&[Discovered]> {
        match self.answers.get(&Query::Discover)? {
            Answer::Discovered(resources) => Some(resources),
            _ => None,
        }
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.caches.settings
    }

    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// Changes only once the last plan's outcome is known, so that names derived from it collide when a write is retried.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.nonce
    }
}

const CONTROLLER_INDEX: &str = "controller";

fn orphan_value(namespace: &str) -> String {
    format!("orphans of {namespace}")
}

fn controller_values<K: Kind>(object: &K) -> Vec<String> {
    match controller_of(object) {
        Some(owner) => vec![owner.uid.clone()],
        None => vec![orphan_value(object.meta().namespace.as_deref().unwrap_or_default())],
    }
}

/// The owner that manages the object, if any.
pub(crate) fn controller_of<K: kube::Resource>(object: &K) -> Option<&OwnerReference> {
    object.meta().owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// What controllers are told rather than find in the cluster.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The certificate authority of the API server, PEM.
    pub root_ca: Option<String>,
}

/// The caches of the types that controllers of one controller.
#[derive(Default)]
pub struct Caches {
    by_type: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
    by_resource: BTreeMap<(String, String), Box<dyn Erased>>,
    graph: Option<Graph>,
    settings: Settings,
    #[cfg(test)]
    pub(crate) tables: BTreeMap<(String, String), Box<dyn crate::sim::Table>>,
}

impl Caches {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    pub fn insert<K: Kind>(&mut self, cache: Cache<K>) {
        let resource = Resource::of::<K>();
        self.by_resource.insert((resource.group.into(), resource.plural.into()), Box::new(cache.clone()));
        self.by_type.insert(TypeId::of::<K>(), Box::new(cache));
    }

    /// An empty cache that the simulation writes.
    #[cfg(test)]
    pub(crate) fn simulate<K: Kind>(&mut self) {
        if self.typed::<K>().is_none() {
            let (writer, cache) = Cache::<K>::detached();
            let resource = Resource::of::<K>();
            self.insert(cache.clone());
            self.tables.insert((resource.group.into(), resource.plural.into()), Box::new((writer, cache)));
        }
    }

    #[cfg(test)]
    pub(crate) fn has_graph(&self) -> bool {
        self.graph.is_some()
    }

    pub fn set_graph(&mut self, graph: Graph) {
        self.graph = Some(graph);
    }

    #[must_use]
    pub fn typed<K: Kind>(&self) -> Option<&Cache<K>> {
        self.by_type.get(&TypeId::of::<K>())?.downcast_ref()
    }

    /// Waits until every cache has its first list.
    pub async fn synced(&self) {
        for cache in self.by_resource.values() {
            cache.synced().await;
        }
        if let Some(graph) = &self.graph {
            graph.synced().await;
        }
    }

    fn erased(&self, resource: &Resource) -> Option<&dyn Erased> {
        let key = (resource.group.to_string(), resource.plural.to_string());
        self.by_resource.get(&key).map(|cache| &**cache)
    }

    /// Waits until the type's cache, if there is one, has seen `revision` of the object `uid`.
    pub async fn reached(&self, target: &Target, uid: &str, revision: u64) {
        if let Some(cache) = self.erased(&target.resource) {
            cache.reached(revision).await;
        }
        if let Some(graph) = &self.graph {
            graph.reached(uid, revision).await;
        }
    }

    /// Waits until the target's cache, if there is one, no longer shows the object `uid`, or shows it being deleted.
    pub async fn gone(&self, target: &Target, uid: &str) {
        if let Some(cache) = self.erased(&target.resource) {
            cache.gone(target, uid).await;
        }
        if let Some(graph) = &self.graph {
            graph.gone(uid).await;
        }
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.by_resource.keys()).finish()
    }
}

/// What the driver needs of a cache without knowing its type.
trait Erased: Send + Sync {
    fn synced(&self) -> BoxFuture<'_, ()>;
    fn reached(&self, revision: u64) -> BoxFuture<'_, ()>;
    fn gone<'a>(&'a self, target: &'a Target, uid: &'a str) -> BoxFuture<'a, ()>;
}

impl<K: Kind> Erased for Cache<K> {
    fn synced(&self) -> BoxFuture<'_, ()> {
        Self::synced(self).boxed()
    }

    fn reached(&self, revision: u64) -> BoxFuture<'_, ()> {
        Self::reached(self, revision).boxed()
    }

    fn gone<'a>(&'a self, target: &'a Target, uid: &'a str) -> BoxFuture<'a, ()> {
        let leaving = move |object: Arc<K>| {
            let meta = object.meta();
            meta.uid.as_deref() != Some(uid) || meta.deletion_timestamp.is_some()
        };
        self.wait_until(move |cache| cache.get(target.namespace.as_deref(), &target.name).is_none_or(leaving)).boxed()
    }
}
