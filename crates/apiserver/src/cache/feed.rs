//! What fills the cache: one range over everything, then one watch.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use store::{Batch, Error, Event, Range};

use super::entry::Entry;
use super::resource::Resource;
use super::sorted::Sorted;
use super::{Cache, Storage};
use crate::storage::ROOT;

/// Entries read at once while loading.
const PAGE: usize = 5000;
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
    let revision = match load(cache).await {
        Ok(revision) => revision,
        Err(error) => return error,
    };
    let mut watch = match cache.storage.store.watch(ROOT, revision).await {
        Ok(watch) => watch,
        Err(error) => return error,
    };
    cache.progress.send_replace(revision);
    loop {
        match watch.next().await {
            Ok(batch) => apply(cache, batch),
            Err(error) => return error,
        }
    }
}

async fn load(cache: &Cache) -> Result<u64, Error> {
    // Those that are added meanwhile load themselves.
    let resources: Vec<_> = cache.resources.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    let mut found: HashMap<Box<str>, Sorted> = HashMap::new();
    let revision = read(&cache.storage, ROOT, |entry| {
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
    let revision = read(storage, prefix, |entry| {
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
async fn read(storage: &Storage, prefix: &str, mut take: impl FnMut(store::Entry)) -> Result<u64, Error> {
    let (mut at, mut start) = (None, None::<String>);
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
    cache.progress.send_if_modified(|progress| {
        let forward = batch.revision > *progress;
        *progress = batch.revision.max(*progress);
        forward
    });
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
