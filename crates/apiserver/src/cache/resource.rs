//! The cache of one resource: its objects, its recent events, its watchers.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;

use super::entry::Entry;
use super::event::Event;
use super::filter::{Filter, Selectable};
use super::sorted::Sorted;
use super::watchers::Watchers;

/// Events kept so that a watch can start in the past.
const RING: usize = 4096;
/// Events that keep their renderings; whoever is further behind renders again.
const NEWS: usize = 256;

/// What the cache must know about a resource.
#[derive(Debug, Clone)]
pub struct Definition {
    /// `/registry/apps/deployments/`, with the final slash.
    pub prefix: Box<str>,
    pub selectable: Vec<Selectable>,
    /// The number of the selectable field that most watches demand, if there is one.
    pub trigger: Option<usize>,
}

/// Objects of one resource, as they were at some revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub objects: Sorted,
    /// Everything up to this revision is in it.
    pub revision: u64,
}

/// An open watch on the cache.
#[derive(Debug)]
pub struct Subscription {
    /// The state at the start, for watches that begin with it.
    pub initial: Option<Sorted>,
    /// The revision that `initial`, or the request's own revision, stands for.
    pub revision: u64,
    /// Events after that which the cache still held.
    pub backlog: VecDeque<Arc<Event>>,
    /// Events from now on; closed when the watcher was too slow or the cache starts afresh.
    pub events: mpsc::Receiver<Arc<Event>>,
}

/// The revision asked for is older than the oldest event kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {requested} ({oldest})")]
pub struct TooOld {
    pub requested: u64,
    pub oldest: u64,
}

#[derive(Debug)]
pub struct Resource {
    definition: Definition,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    objects: Sorted,
    /// The revision of the last event, or of the load.
    revision: u64,
    /// Events after this revision are all in the ring.
    oldest: u64,
    ring: VecDeque<Arc<Event>>,
    watchers: Watchers,
}

impl Resource {
    pub(super) fn new(definition: Definition) -> Self {
        let watchers = Watchers::new(definition.trigger);
        let state = State { objects: Sorted::default(), revision: 0, oldest: 0, ring: VecDeque::new(), watchers };
        Self { definition, state: RwLock::new(state) }
    }

    /// A resource that holds nothing and never will.
    #[must_use]
    pub fn empty(prefix: &str) -> Self {
        Self::new(Definition { prefix: prefix.into(), selectable: Vec::new(), trigger: None })
    }

    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.read(|state| state.objects.get(key).cloned())
    }

    /// The objects as they are now; free of charge.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.read(|state| Snapshot { objects: state.objects.clone(), revision: state.revision })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|state| state.objects.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many watches are open.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.read(|state| state.watchers.count())
    }

    /// Watches from the present state, which comes first.
    #[must_use]
    pub fn watch(&self, filter: &Filter) -> Subscription {
        self.write(|state| Subscription {
            initial: Some(state.objects.clone()),
            revision: state.revision,
            backlog: VecDeque::new(),
            events: state.watchers.add(filter),
        })
    }

    /// Watches everything after `revision`.
    ///
    /// # Errors
    /// When events after it have been forgotten.
    pub fn watch_after(&self, revision: u64, filter: &Filter) -> Result<Subscription, TooOld> {
        self.write(|state| {
            if revision < state.oldest {
                return Err(TooOld { requested: revision, oldest: state.oldest });
            }
            let start = state.ring.partition_point(|event| event.revision() <= revision);
            Ok(Subscription {
                initial: None,
                revision,
                backlog: state.ring.range(start..).cloned().collect(),
                events: state.watchers.add(filter),
            })
        })
    }

    /// Puts what the store held at `revision` in place of what was known; later changes stay. Watchers must start again.
    pub(super) fn load(&self, objects: Sorted, revision: u64) {
        self.write(|state| {
            let later: Vec<_> = state.ring.drain(..).filter(|event| event.revision() > revision).collect();
            state.objects = objects;
            state.watchers.cut();
            (state.revision, state.oldest) = (revision, revision);
            for event in later {
                match event.current() {
                    Some(entry) => state.put(entry.clone()),
                    None => state.delete(event.key(), event.revision()),
                }
            }
        });
    }

    /// Takes in one change. Changes up to the last load are known already.
    pub(super) fn put(&self, entry: Arc<Entry>) {
        self.write(|state| state.put(entry));
    }

    pub(super) fn delete(&self, key: &str, revision: u64) {
        self.write(|state| state.delete(key, revision));
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn put(&mut self, entry: Arc<Entry>) {
        if entry.revision() > self.revision {
            let previous = self.objects.insert(entry.clone());
            self.publish(Event::put(entry, previous));
        }
    }

    fn delete(&mut self, key: &str, revision: u64) {
        if revision > self.revision
            && let Some(previous) = self.objects.remove(key)
        {
            self.publish(Event::delete(previous, revision));
        }
    }

    fn publish(&mut self, event: Event) {
        let event = Arc::new(event);
        self.revision = event.revision();
        self.watchers.send(&event);
        self.ring.push_back(event);
        if let Some(past) = self.ring.len().checked_sub(NEWS + 1) {
            self.ring[past].forget_renderings();
        }
        if self.ring.len() > RING
            && let Some(oldest) = self.ring.pop_front()
        {
            self.oldest = oldest.revision();
        }
    }
}

#[cfg(test)]
mod tests;
