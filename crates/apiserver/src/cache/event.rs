//! A change as watchers see it, with the renderings they share.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::entry::Entry;
use super::filter::Filter;

/// What a watcher is told about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    Added,
    Modified,
    Deleted,
}

impl Shown {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A change of one object.
#[derive(Debug)]
pub struct Event {
    revision: u64,
    /// The object after the change; `None` when it was deleted.
    current: Option<Arc<Entry>>,
    previous: Option<Arc<Entry>>,
    /// Made on first demand, one for each way of showing this event; forgotten when the event is no longer news.
    renderings: Mutex<Vec<(Key, Bytes)>>,
}

/// Tells renderings of one event apart: what is shown, and the caller's number for version and media type.
type Key = (Shown, u64);

impl Event {
    #[must_use]
    pub(super) fn put(current: Arc<Entry>, previous: Option<Arc<Entry>>) -> Self {
        Self { revision: current.revision(), current: Some(current), previous, renderings: Mutex::default() }
    }

    #[must_use]
    pub(super) fn delete(previous: Arc<Entry>, revision: u64) -> Self {
        Self { revision, current: None, previous: Some(previous), renderings: Mutex::default() }
    }

    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object after the change; `None` when it was deleted.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<Entry>> {
        self.current.as_ref()
    }

    /// The object before the change; `None` when it was created.
    #[must_use]
    pub fn previous(&self) -> Option<&Arc<Entry>> {
        self.previous.as_ref()
    }

    /// The key of the object.
    #[must_use]
    pub fn key(&self) -> &str {
        self.current.as_ref().or(self.previous.as_ref()).map_or("", |entry| entry.key())
    }

    /// What a watcher that sees only what passes `filter` is told, if anything.
    #[must_use]
    pub fn shown_to(&self, filter: &Filter) -> Option<Shown> {
        let passes = |entry: &Option<Arc<Entry>>| entry.as_ref().is_some_and(|entry| filter.matches(entry));
        match (passes(&self.current), passes(&self.previous)) {
            (true, true) => Some(Shown::Modified),
            (true, false) => Some(Shown::Added),
            (false, true) => Some(Shown::Deleted),
            (false, false) => None,
        }
    }

    /// The object to show: for deletions its last state at the revision of this event.
    #[must_use]
    pub fn object(&self, shown: Shown) -> Option<Arc<Entry>> {
        match shown {
            Shown::Added | Shown::Modified => self.current.clone(),
            Shown::Deleted => self.previous.as_ref().map(|previous| Arc::new(previous.at(self.revision))),
        }
    }

    /// The rendering of `shown` under the number `form`, made by `make` when nobody has asked for it yet.
    pub fn rendered<E>(
        &self,
        shown: Shown,
        form: u64,
        make: impl FnOnce(&Entry) -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        let mut renderings = self.renderings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = renderings.iter().find(|(key, _)| *key == (shown, form)) {
            return Ok(bytes.clone());
        }
        let Some(object) = self.object(shown) else { return Ok(Bytes::new()) };
        let bytes = make(&object)?;
        renderings.push(((shown, form), bytes.clone()));
        Ok(bytes)
    }

    /// Gives back the memory of renderings; whoever still needs one makes it again.
    pub(super) fn forget_renderings(&self) {
        *self.renderings.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }
}
