//! The process's caches: one for each type and scope, started on first demand.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use host::{Host, OnEnd};
use kube::core::ApiResource;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::cache::{Cache, Shared};
use crate::metadata::Metadata;
use crate::object::{Object, Scope};
use crate::reflector;
use crate::wire::{Projection, Source};

/// Hands out caches; cheap to clone. One for the whole process, or one for each identity when roles run apart.
#[derive(Clone)]
pub struct Informers {
    shared: Arc<Inner>,
    /// What the holder acts as; reading is done by the shared client.
    client: Client,
}

struct Inner {
    /// Lists and watches.
    client: Client,
    host: Host,
    /// The values are `Weak<Shared<K>>`.
    caches: Mutex<BTreeMap<Identity, Box<dyn Any + Send>>>,
}

/// What makes two demands the same cache.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    group: String,
    plural: String,
    version: String,
    scope: Scope,
    view: TypeId,
}

impl Informers {
    #[must_use]
    pub fn new(client: Client, host: Host) -> Self {
        let caches = Mutex::new(BTreeMap::new());
        Self { shared: Arc::new(Inner { client: client.clone(), host, caches }), client }
    }

    /// The same caches for a holder that acts with a client of its own: roles of one process share what they read and
    /// keep their own identities for what they do.
    #[must_use]
    pub fn acting_as(&self, client: Client) -> Self {
        Self { shared: self.shared.clone(), client }
    }

    /// The client with which the holder acts.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    #[must_use]
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    /// All objects of type `K`.
    #[must_use]
    pub fn of<K>(&self) -> Cache<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        self.scoped(Scope::default())
    }

    /// The objects of type `K` within `scope`.
    #[must_use]
    pub fn scoped<K>(&self, scope: Scope) -> Cache<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        self.view(&ApiResource::erase::<K>(&()), scope)
    }

    /// The objects of `resource` within `scope`, decoded into a view `V` that keeps only what its users need.
    #[must_use]
    pub fn view<V: Object>(&self, resource: &ApiResource, scope: Scope) -> Cache<V> {
        self.demand(resource, scope, Projection::Whole)
    }

    /// The metadata of all objects of `resource`; the server sends nothing else.
    #[must_use]
    pub fn metadata(&self, resource: &ApiResource) -> Cache<Metadata> {
        self.demand(resource, Scope::default(), Projection::Metadata)
    }

    fn demand<V: Object>(&self, resource: &ApiResource, scope: Scope, projection: Projection) -> Cache<V> {
        let identity = Identity {
            group: resource.group.clone(),
            plural: resource.plural.clone(),
            version: resource.version.clone(),
            scope,
            view: TypeId::of::<V>(),
        };
        let mut caches = self.shared.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let found = caches.get(&identity).and_then(|weak| weak.downcast_ref::<Weak<Shared<V>>>()?.upgrade());
        if let Some(shared) = found {
            return Cache::new(shared);
        }
        caches.retain(|_, weak| is_alive_or_other::<V>(weak.as_ref()));
        let source = Source::new(self.shared.client.clone(), resource, &identity.scope, projection);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::<V>::new(stop.clone()));
        caches.insert(identity, Box::new(Arc::downgrade(&shared)));
        drop(caches);
        let run = reflector::run(source, Arc::downgrade(&shared), self.shared.host.clone(), stop);
        self.shared.host.tasks.spawn("informer", OnEnd::Expected, run);
        Cache::new(shared)
    }
}

/// Whether an entry is still held, as far as `V` can tell; entries of other types are kept.
fn is_alive_or_other<V: Object>(entry: &(dyn Any + Send)) -> bool {
    entry.downcast_ref::<Weak<Shared<V>>>().is_none_or(|weak| weak.strong_count() > 0)
}

impl fmt::Debug for Informers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informers").finish_non_exhaustive()
    }
}
