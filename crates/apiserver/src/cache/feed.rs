//! What fills the cache: one range over everything, then one watch.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use store::{Batch, Error, Event, Range, Watch};

use super::entry::Entry;
use super::resource::Resource;
use super::sorted::Sorted;
use super::{Cache, NUDGE_AFTER, Storage};
use crate::storage::ROOT;

/// Entries read at once while loading.
const PAGE: usize = 5000;
/// How many revisions a cache that was empty begins in the past: as many as it can hold of one resource.
const HISTORY: u64 = 4096;
/// The wait after the store could not be reached.
const PAUSE: Duration = Duration::from_millis(250);

/// Loads and follows, again and again where the watch breaks off, until the store closes.
pub(super) async fn run(cache: &Cache) {
    loop {
        match follow(cache).await {
            Error::Closed => return,
            Error::Lagged { .. } | Error::Compacted { .. } => tracing::warn!("the watch cache starts afresh"),
            error => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the watch cache lost the store, trying again"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Loads everything, then takes in changes until there is an error.
async fn follow(cache: &Cache) -> Error {
    let (mut watch, revision) = match begin(cache).await {
        Ok(begun) => begun,
        Err(error) => return error,
    };
    cache.progress.send_replace(revision);
    loop {
        match watch.next().await {
            Ok(batch) => {
                let revision = batch.revision;
                apply(cache, batch);
                cache.progress.send_if_modified(|progress| {
                    let forward = revision > *progress;
                    *progress = revision.max(*progress);
                    forward
                });
            }
            Err(error) => return error,
        }
    }
}

/// Fills the cache: a watch from where it then stands, and that revision.
///
/// A cache that was empty begins some way back in the store's history, so that watches that were open before a restart
/// find all that came after. Nobody reads it before it has caught up.
async fn begin(cache: &Cache) -> Result<(Watch, u64), Error> {
    let store = &cache.storage.store;
    let present = store.revision().await?;
    if cache.progress() == 0 && present > 0 && store.reports_progress() {
        match catch_up(cache, present.saturating_sub(HISTORY).max(1), present).await {
            Err(Error::Compacted { compacted, .. }) => match catch_up(cache, compacted, present).await {
                Err(Error::Compacted { .. } | Error::Future { .. }) => {}
                begun => return begun,
            },
            begun => return begun,
        }
    }
    let revision = load(cache, None).await?;
    Ok((store.watch(ROOT, revision).await?, revision))
}

/// Loads what there was at revision `past`, and takes in what has happened up to `present`.
async fn catch_up(cache: &Cache, past: u64, present: u64) -> Result<(Watch, u64), Error> {
    let mut seen = load(cache, Some(past).filter(|past| *past > 0)).await?;
    let store = &cache.storage.store;
    let mut watch = store.watch(ROOT, seen).await?;
    while seen < present {
        match tokio::time::timeout(NUDGE_AFTER, watch.next()).await {
            Ok(batch) => {
                let batch = batch?;
                seen = batch.revision.max(seen);
                apply(cache, batch);
            }
            Err(_) => store.progress().await?,
        }
    }
    Ok((watch, seen))
}

/// Loads all objects as of a revision; of the present one without.
async fn load(cache: &Cache, at: Option<u64>) -> Result<u64, Error> {
    // Those that are added meanwhile load themselves.
    let resources: Vec<_> = cache.resources.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    let mut found: HashMap<Box<str>, Sorted> = HashMap::new();
    let revision = read(&cache.storage, ROOT, at, |entry| {
        let Some((resource, key)) = locate(cache, &entry.key) else { return };
        if let Some(made) = make(&cache.storage, &resource, key, &entry) {
            found.entry(resource.definition().prefix.clone()).or_default().insert(made);
        }
    })
    .await?;
    for resource in resources {
        resource.load(found.remove(&resource.definition().prefix).unwrap_or_default(), revision);
    }
    Ok(revision)
}

/// Loads the objects of one resource; changes that the feed has brought meanwhile stay.
pub(super) async fn load_one(storage: &Storage, resource: &Resource) -> Result<(), Error> {
    let prefix = &resource.definition().prefix;
    let mut objects = Sorted::default();
    let revision = read(storage, prefix, None, |entry| {
        let key = entry.key.strip_prefix(&**prefix).unwrap_or_default();
        if let Some(made) = make(storage, resource, key, &entry) {
            objects.insert(made);
        }
    })
    .await?;
    resource.load(objects, revision);
    Ok(())
}

/// Hands every entry under `prefix`, all as of one revision, to `take`.
async fn read(
    storage: &Storage,
    prefix: &str,
    mut at: Option<u64>,
    mut take: impl FnMut(store::Entry),
) -> Result<u64, Error> {
    let mut start = None::<String>;
    loop {
        let range = Range { prefix, start: start.as_deref(), limit: PAGE, at };
        let page = storage.store.range(range).await?;
        let more = page.more();
        start = page.entries.last().map(|last| format!("{}\0", last.key));
        page.entries.into_iter().for_each(&mut take);
        at = Some(page.revision);
        if !more {
            return Ok(page.revision);
        }
    }
}

fn apply(cache: &Cache, batch: Batch) {
    for event in batch.events {
        let Some((resource, key)) = locate(cache, event.key()) else { continue };
        match &event {
            Event::Put(entry) => {
                if let Some(made) = make(&cache.storage, &resource, key, entry) {
                    resource.put(made);
                }
            }
            Event::Delete { revision, .. } => resource.delete(key, *revision),
        }
    }
}

/// The resource that a store key belongs to, and the key within it. Keys of unknown resources belong to nobody.
fn locate<'k>(cache: &Cache, key: &'k str) -> Option<(Arc<Resource>, &'k str)> {
    let rest = key.strip_prefix(ROOT)?;
    let first = ROOT.len() + rest.find('/')? + 1;
    let resources = cache.resources.read().unwrap_or_else(PoisonError::into_inner);
    let found = |end: usize| resources.get(&key[..end]).map(|resource| (resource.clone(), &key[end..]));
    found(first).or_else(|| found(first + key[first..].find('/')? + 1))
}

/// `None`, and a line in the log, for bytes that cannot be read: one bad object must not hide the others.
fn make(storage: &Storage, resource: &Resource, key: &str, stored: &store::Entry) -> Option<Arc<Entry>> {
    let opened = storage.transform.open(&stored.key, stored.value.clone());
    let bytes = opened.inspect_err(|error| tracing::error!(%error, "an object cannot be read")).ok()?;
    Entry::new(key, stored.modified, &bytes, &resource.definition().selectable)
        .inspect_err(|error| tracing::error!(key = &*stored.key, %error, "an object cannot be read"))
        .ok()
        .map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Definition, Filter};
    use bytes::Bytes;
    use host::Host;
    use jiff::Timestamp;
    use store::{Expect, Store as _};

    const PREFIX: &str = "/registry/things/";

    fn cache(store: &Arc<store::Embedded>) -> Arc<Cache> {
        let cache = Cache::new(Storage::new(store.clone()));
        cache.define([Definition { prefix: PREFIX.into(), selectable: Vec::new(), trigger: None }]);
        cache
    }

    async fn put(store: &store::Embedded, name: &str) -> u64 {
        let object = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        store.put(&format!("{PREFIX}{name}"), Bytes::from(object), Expect::Any, None).await.unwrap()
    }

    /// What a watch from `revision` finds in a cache that has just been filled: `None` when that is forgotten.
    async fn missed(store: &Arc<store::Embedded>, revision: u64) -> Option<Vec<(String, u64)>> {
        let cache = cache(store);
        let (_watch, seen) = begin(&cache).await.unwrap();
        assert_eq!(seen, store.revision().await.unwrap());
        let resource = cache.at(PREFIX).unwrap();
        let watch = resource.watch_after(revision, &Filter::default()).ok()?;
        Some(watch.backlog.iter().map(|event| (event.key().to_owned(), event.revision())).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_cache_knows_what_happened_before_it() {
        let store = Arc::new(store::Embedded::memory(&Host::simulated(Timestamp::UNIX_EPOCH, 1)).unwrap());
        let first = put(&store, "a").await;
        let second = put(&store, "b").await;
        store.delete(&format!("{PREFIX}a"), Expect::Any).await.unwrap();
        let third = put(&store, "b").await;
        let told = |events: &[(&str, u64)]| Some(events.iter().map(|(k, r)| ((*k).to_owned(), *r)).collect());
        assert_eq!(missed(&store, first).await, told(&[("b", second), ("a", second + 1), ("b", third)]));
        assert_eq!(missed(&store, third).await, told(&[]));
        store.compact(second).await.unwrap();
        assert_eq!(missed(&store, first).await, None);
        assert_eq!(missed(&store, second).await, told(&[("a", second + 1), ("b", third)]));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_much_of_the_past_is_known() {
        let store = Arc::new(store::Embedded::memory(&Host::simulated(Timestamp::UNIX_EPOCH, 1)).unwrap());
        let first = put(&store, "a").await;
        for _ in 0..HISTORY {
            put(&store, "a").await;
        }
        assert_eq!(missed(&store, first - 1).await.map(|events| events.len()), None);
        assert_eq!(missed(&store, first).await.map(|events| events.len()), Some(4096));
    }
}
