//! Keeps the graph current: discovery, one metadata cache for each deletable type, and the uids that each change touches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{BoxStream, SelectAll};
use host::OnEnd;
use informer::{Backoff, Cache, Change, Informers, Key, Metadata};
use tokio::time::Instant;

use super::Graph;
use crate::controller::Watch;
use crate::discovery::{Discovered, discover};
use crate::world::{Caches, World};

/// Types whose objects nobody owns worth following.
const IGNORED: &[&str] = &["events"];
/// Types whose objects make other types appear or vanish.
const DEFINING: &[&str] = &["customresourcedefinitions", "apiservices"];
/// How long after a change of a defining object discovery is asked again: several come together.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the first content of all types may take before the graph goes on without the missing ones.
const SYNC_LIMIT: Duration = Duration::from_secs(30);

/// Watches the metadata of all objects of all deletable types. Keys are uids, as cluster-scoped names.
#[derive(Debug)]
pub struct Everything;

impl Watch for Everything {
    fn open(&self, informers: &Informers, caches: &mut Caches) {
        let graph = Graph::default();
        caches.set_graph(graph.clone());
        let feed = Feed { graph, informers: informers.clone(), types: BTreeMap::new(), changes: SelectAll::new() };
        let shutdown = informers.host().shutdown();
        informers.host().tasks.spawn("ownership graph", OnEnd::Fatal, async move {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = feed.run() => {}
            }
        });
    }

    fn feed(&self, world: World) -> BoxStream<'static, Vec<Key>> {
        let graph = world.graph().clone();
        let touched = futures::stream::unfold(graph, |graph| async move {
            let uids = graph.touched().await;
            Some((uids.iter().map(|uid| Key::new(None, uid)).collect(), graph))
        });
        touched.boxed()
    }

    #[cfg(test)]
    fn simulate(&self, caches: &mut Caches) {
        if !caches.has_graph() {
            let graph = Graph::default();
            graph.bump();
            caches.set_graph(graph);
        }
    }

    #[cfg(test)]
    fn keys(&self, world: &World) -> Vec<Key> {
        world.graph().uids().iter().map(|uid| Key::new(None, uid)).collect()
    }
}

struct Feed {
    graph: Graph,
    informers: Informers,
    /// The watched types and their caches, by group and plural.
    types: BTreeMap<(String, String), (Arc<Discovered>, Cache<Metadata>)>,
    changes: SelectAll<BoxStream<'static, (Arc<Discovered>, Change<Metadata>)>>,
}

impl Feed {
    async fn run(mut self) {
        self.rediscover().await;
        let all = join_all(self.types.values().map(|(_, cache)| cache.synced()));
        if tokio::time::timeout(SYNC_LIMIT, all).await.is_err() {
            tracing::warn!("garbage collection starts although some types cannot be listed");
        }
        self.load();
        self.graph.bump();
        self.follow().await;
    }

    /// Takes over what the caches hold before anybody looks at the graph.
    fn load(&self) {
        for (of, cache) in self.types.values() {
            for object in cache.list() {
                self.graph.apply(of, object);
            }
        }
    }

    async fn follow(&mut self) {
        let mut rediscovery: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = until(rediscovery), if rediscovery.is_some() => {
                    rediscovery = None;
                    self.rediscover().await;
                }
                Some((of, change)) = self.changes.next(), if !self.changes.is_empty() => {
                    if DEFINING.contains(&&*of.resource.plural) {
                        rediscovery = Some(Instant::now() + SETTLE);
                    }
                    self.take(&of, change);
                }
                else => std::future::pending().await,
            }
        }
    }

    fn take(&self, of: &Arc<Discovered>, change: Change<Metadata>) {
        match change {
            Change::Applied { new, .. } => self.graph.apply(of, new),
            Change::Deleted(last) => self.graph.remove(&last),
        }
    }

    /// Opens caches of new deletable types and closes those of types that are no longer served.
    async fn rediscover(&mut self) {
        let key = |of: &Discovered| (of.resource.group.to_string(), of.resource.plural.to_string());
        let served: BTreeMap<_, _> = deletable(&self.informers).await.into_iter().map(|of| (key(&of), of)).collect();
        self.types.retain(|key, _| served.contains_key(key));
        for (key, of) in served {
            if self.types.get(&key).is_some_and(|(known, _)| **known == of) {
                continue;
            }
            let cache = self.informers.metadata(&of.resource.api());
            let of = Arc::new(of);
            let tagged = Arc::clone(&of);
            self.changes.push(cache.subscribe().map(move |change| (Arc::clone(&tagged), change)).boxed());
            self.types.insert(key, (of, cache));
        }
        self.graph.set_types(self.types.values().map(|(of, _)| of));
    }
}

/// The deletable types; asks until the server answers.
async fn deletable(informers: &Informers) -> Vec<Discovered> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));
    loop {
        match discover(informers.client()).await {
            Ok(mut served) => {
                served.retain(|of| ["delete", "list", "watch"].iter().all(|verb| of.can(verb)));
                served.retain(|of| !IGNORED.contains(&&*of.resource.plural));
                return served;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot discover what the server serves");
                tokio::time::sleep(backoff.next(&*informers.host().entropy)).await;
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
