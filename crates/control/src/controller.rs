//! What a controller is: a name, what it watches, and a pure step.

use futures::StreamExt;
use futures::stream::BoxStream;
use informer::{Change, Informers, Key};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::plan::Plan;
use crate::world::{Caches, World};

/// The types that controllers handle: built-in API types.
pub trait Kind:
    kube::Resource<DynamicType = ()>
    + k8s_openapi::Metadata<Ty = ObjectMeta>
    + DeserializeOwned
    + Serialize
    + Clone
    + PartialEq
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: kube::Resource<DynamicType = ()>
        + k8s_openapi::Metadata<Ty = ObjectMeta>
        + DeserializeOwned
        + Serialize
        + Clone
        + PartialEq
        + std::fmt::Debug
        + Send
        + Sync
        + 'static
{
}

/// A row of the [table](crate::table::CONTROLLERS).
pub struct Controller {
    /// Upstream's name: `replicaset-controller`.
    pub name: &'static str,
    pub watches: &'static [&'static dyn Watch],
    /// Pure: no IO, no clock, no event. Left alone, it reaches the empty plan.
    pub step: fn(&Key, &World, Timestamp) -> Plan,
    /// Keys handled at the same time.
    pub concurrency: usize,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A source of keys; also puts its cache into the world.
pub trait Watch: Send + Sync {
    fn open(&self, informers: &Informers, caches: &mut Caches);

    /// The keys to step, first for everything there is, then for every change. Ends when the host shuts down.
    fn feed(&self, world: World) -> BoxStream<'static, Vec<Key>>;

    /// As [`Watch::open`], with an empty cache that the simulation writes.
    #[cfg(test)]
    fn simulate(&self, caches: &mut Caches);

    /// The keys for everything there is.
    #[cfg(test)]
    fn keys(&self, world: &World) -> Vec<Key>;
}

/// Watches the type `K`; the function adds the keys that an object concerns.
///
/// It is called for the old and the new form of each changed object.
#[derive(Debug)]
pub struct On<K: 'static>(pub fn(&K, &World, &mut Vec<Key>));

impl<K: Kind> Watch for On<K> {
    fn open(&self, informers: &Informers, caches: &mut Caches) {
        caches.insert(informers.of::<K>());
    }

    fn feed(&self, world: World) -> BoxStream<'static, Vec<Key>> {
        let changes = world.cache::<K>().subscribe();
        let keys_of = self.0;
        let feed = futures::stream::unfold((changes, world), move |(mut changes, world)| async move {
            let mut keys = Vec::new();
            for change in changes.batch().await? {
                if let Change::Applied { old: Some(old), .. } = &change {
                    keys_of(old, &world, &mut keys);
                }
                keys_of(change.object(), &world, &mut keys);
            }
            Some((keys, (changes, world)))
        });
        feed.boxed()
    }

    #[cfg(test)]
    fn simulate(&self, caches: &mut Caches) {
        caches.simulate::<K>();
    }

    #[cfg(test)]
    fn keys(&self, world: &World) -> Vec<Key> {
        let mut keys = Vec::new();
        world.list::<K>().iter().for_each(|object| (self.0)(object, world, &mut keys));
        keys
    }
}

/// The keys function of the type a controller is about.
pub(crate) fn itself<K: Kind>(object: &K, _: &World, keys: &mut Vec<Key>) {
    keys.push(informer::Object::key(object));
}

/// The keys function of types that are read but do not trigger.
pub(crate) fn nothing<K: Kind>(_: &K, _: &World, _: &mut Vec<Key>) {}
