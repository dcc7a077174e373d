//! The loop that keeps a cache current: list, watch from there, list again when the server has forgotten our revision.

use std::pin::pin;
use std::sync::Weak;
use std::time::Duration;

use futures::StreamExt;
use host::Host;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::cache::Shared;
use crate::object::Object;
use crate::wire::{Error, Event, Source};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A watch is asked to last between this and twice this, so that watches do not all end together.
const WATCH: Duration = Duration::from_secs(300);
/// How long after its announced end a silent watch counts as dead.
const GRACE: Duration = Duration::from_secs(30);

/// Where the loop goes on.
enum Next {
    List,
    Watch(u64),
    /// Nobody holds the cache.
    Stop,
}

/// Runs until the last reader is gone (`stop`) or the host shuts down.
pub(crate) async fn run<K: Object>(source: Source, cache: Weak<Shared<K>>, host: Host, stop: CancellationToken) {
    let shutdown = host.shutdown();
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = shutdown.cancelled() => {
            if let Some(cache) = cache.upgrade() {
                cache.close();
            }
        }
        () = follow(&source, &cache, &host) => {}
    }
}

async fn follow<K: Object>(source: &Source, cache: &Weak<Shared<K>>, host: &Host) {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut next = Next::List;
    loop {
        let result = match next {
            Next::List => list(source, cache).await,
            Next::Watch(revision) => watch(source, cache, host, revision).await,
            Next::Stop => return,
        };
        next = match result {
            Ok(next) => {
                backoff.reset();
                next
            }
            Err((error, resume)) => {
                let delay = backoff.next(&*host.entropy);
                report(&source.plural, &error, delay);
                tokio::time::sleep(delay).await;
                resume
            }
        };
    }
}

async fn list<K: Object>(source: &Source, cache: &Weak<Shared<K>>) -> Result<Next, (Error, Next)> {
    let listing = source.list::<K>().await.map_err(|error| (error, Next::List))?;
    let Some(cache) = cache.upgrade() else { return Ok(Next::Stop) };
    let revision = listing.revision;
    cache.replace(listing.objects, revision);
    Ok(Next::Watch(revision))
}

/// Follows one watch to its end. A watch that ends as announced is followed by the next one from where it stopped.
async fn watch<K: Object>(
    source: &Source,
    cache: &Weak<Shared<K>>,
    host: &Host,
    from: u64,
) -> Result<Next, (Error, Next)> {
    let limit = WATCH.mul_f64(1.0 + host.entropy.fraction());
    let seconds = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
    let deadline = tokio::time::Instant::now() + limit + GRACE;
    let mut revision = from;
    let events = source.watch::<K>(revision, seconds).await.map_err(|error| resume(error, revision))?;
    let mut events = pin!(events);
    loop {
        let event = match tokio::time::timeout_at(deadline, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Err(resume(error, revision)),
            Ok(None) if revision == from => return Err((Error::Ended("no event".into()), Next::Watch(revision))),
            Ok(None) | Err(_) => return Ok(Next::Watch(revision)),
        };
        let Some(cache) = cache.upgrade() else { return Ok(Next::Stop) };
        if let Some(event) = event {
            revision = revision.max(take_over(&cache, event));
        }
    }
}

fn take_over<K: Object>(cache: &Shared<K>, event: Event<K>) -> u64 {
    match event {
        Event::Applied(object) => {
            let revision = object.revision();
            cache.apply(object);
            revision
        }
        Event::Deleted(object) => {
            cache.remove(&object);
            object.revision()
        }
        Event::Bookmark(revision) => {
            cache.advance(revision);
            revision
        }
    }
}

fn resume(error: Error, revision: u64) -> (Error, Next) {
    let next = if matches!(error, Error::Expired) { Next::List } else { Next::Watch(revision) };
    (error, next)
}

/// A server that is not there yet is no news; everything else is worth a line.
fn report(plural: &str, error: &Error, delay: Duration) {
    let delay = delay.as_millis();
    match error {
        Error::Expired | Error::Ended(_) => tracing::debug!(resource = plural, %error, "following again in {delay} ms"),
        Error::Call(cause) => tracing::info!(resource = plural, %cause, "{error}, trying again in {delay} ms"),
        _ => tracing::warn!(resource = plural, %error, "following again in {delay} ms"),
    }
}
