//! Subscriptions: what changed in a cache since the subscriber last looked, merged for each key.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use indexmap::IndexMap;

use crate::cache::Cache;
use crate::object::{Key, Object};

/// One change of one object, relative to what the subscriber was told before.
#[derive(Debug)]
pub enum Change<K> {
    /// The object is new to the subscriber (`old` is `None`) or differs from what it knows.
    Applied { old: Option<Arc<K>>, new: Arc<K> },
    /// The object is gone; a successor under the same name follows as `Applied` without `old`.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    /// The object as it is now or was last.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied { new, .. } => new,
            Self::Deleted(last) => last,
        }
    }
}

/// What the subscriber knows of a key, and what is true now.
#[derive(Debug)]
struct Net<K> {
    known: Option<Arc<K>>,
    now: Option<Arc<K>>,
}

/// The cache's end of a subscription. At most one entry for each key, whatever the subscriber's speed.
#[derive(Debug)]
pub(crate) struct Queue<K>(Mutex<Pending<K>>);

#[derive(Debug)]
struct Pending<K> {
    changes: IndexMap<Key, Net<K>>,
    closed: bool,
    waker: Option<Waker>,
}

impl<K> Queue<K> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Pending { changes: IndexMap::new(), closed: false, waker: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Pending<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, key: &Key, old: Option<&Arc<K>>, new: Option<&Arc<K>>) {
        let mut pending = self.lock();
        match pending.changes.get_mut(key) {
            Some(net) => net.now = new.cloned(),
            None => {
                pending.changes.insert(key.clone(), Net { known: old.cloned(), now: new.cloned() });
            }
        }
        let waker = pending.waker.take();
        drop(pending);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn close(&self) {
        let mut pending = self.lock();
        pending.closed = true;
        let waker = pending.waker.take();
        drop(pending);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Everything that is pending, oldest key first; `None` when closed, pending when there is nothing.
    fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<IndexMap<Key, Net<K>>>> {
        let mut pending = self.lock();
        if !pending.changes.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut pending.changes)));
        }
        if pending.closed {
            return Poll::Ready(None);
        }
        pending.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take(&self) -> IndexMap<Key, Net<K>> {
        std::mem::take(&mut self.lock().changes)
    }
}

/// The changes of a cache, first its content at the time of subscribing.
///
/// No change of state is lost. Changes of one key that the subscriber has not taken yet merge into their net effect, so
/// a slow subscriber costs at most one entry for each key; an object that came and went in between is not seen at all.
/// Ends when the host shuts down. Holds the cache.
#[derive(Debug)]
pub struct Changes<K: Object> {
    queue: Arc<Queue<K>>,
    ready: VecDeque<Change<K>>,
    _cache: Cache<K>,
}

impl<K: Object> Changes<K> {
    pub(crate) fn new(queue: Arc<Queue<K>>, cache: Cache<K>) -> Self {
        Self { queue, ready: VecDeque::new(), _cache: cache }
    }

    /// The next change; `None` once the host shuts down. Cancel-safe.
    pub async fn next(&mut self) -> Option<Change<K>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Everything that changed since the last look, without waiting.
    pub fn take(&mut self) -> Vec<Change<K>> {
        let mut all = std::mem::take(&mut self.ready);
        all.extend(self.queue.take().into_values().flat_map(settle));
        all.into()
    }

    /// Waits for a change and takes everything there is; `None` once the host shuts down. Cancel-safe.
    pub async fn batch(&mut self) -> Option<Vec<Change<K>>> {
        let first = self.next().await?;
        let mut all = vec![first];
        all.append(&mut self.take());
        Some(all)
    }
}

impl<K: Object> Stream for Changes<K> {
    type Item = Change<K>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(change) = this.ready.pop_front() {
                return Poll::Ready(Some(change));
            }
            match std::task::ready!(this.queue.poll_take(cx)) {
                Some(taken) => this.ready.extend(taken.into_values().flat_map(settle)),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<K: Object> Unpin for Changes<K> {}

/// The changes that lead from what the subscriber knows to what is true now.
fn settle<K: Object>(net: Net<K>) -> Vec<Change<K>> {
    match (net.known, net.now) {
        (None, None) => Vec::new(),
        (Some(old), None) => vec![Change::Deleted(old)],
        (Some(old), Some(new)) if old.uid() != new.uid() => {
            vec![Change::Deleted(old), Change::Applied { old: None, new }]
        }
        (old, Some(new)) => vec![Change::Applied { old, new }],
    }
}

/// The set of keys that changed in a cache, first all that it holds. Ends when the host shuts down. Holds the cache.
#[derive(Debug)]
pub struct ChangedKeys<K: Object> {
    queue: Arc<Queue<K>>,
    _cache: Cache<K>,
}

impl<K: Object> ChangedKeys<K> {
    pub(crate) fn new(queue: Arc<Queue<K>>, cache: Cache<K>) -> Self {
        Self { queue, _cache: cache }
    }

    /// Waits for a change and takes every changed key, oldest first; `None` once the host shuts down. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<Key>> {
        let taken = std::future::poll_fn(|cx| self.queue.poll_take(cx)).await?;
        Some(taken.into_keys().collect())
    }

    /// Every key that changed since the last look, without waiting.
    pub fn take(&mut self) -> Vec<Key> {
        self.queue.take().into_keys().collect()
    }
}
