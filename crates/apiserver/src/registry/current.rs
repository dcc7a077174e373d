//! The object as it is now, and the loop that changes it: read, edit, write if nobody else has written meanwhile.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use store::{Error as StoreError, Expect};

use super::metadata::set;
use super::{Registry, Scope, Written};
use crate::cache::Entry;
use crate::error::{Error, Result};
use crate::strategy::Reservation;

/// Writers that are in each other's way: the last one gives up after so many rounds.
const ROUNDS: usize = 32;

/// An object as the store has it, or as the cache last saw it.
pub(super) struct Current {
    /// In its storage version, resourceVersion included.
    pub(super) object: Value,
    pub(super) revision: u64,
    source: Source,
}

enum Source {
    /// Seen by the cache: it may be out of date, and the edit is then tried again on what the store says.
    Cache(Arc<Entry>),
    Store(Bytes),
}

/// What an edit makes of the current object.
pub(super) enum Change {
    /// Nothing is written; the answer is the object as it is.
    Keep,
    Put {
        object: Value,
        reservation: Option<Box<dyn Reservation>>,
    },
    /// The object goes; the answer is its last state.
    Delete(Value),
}

/// A change of one object that can be computed again and again on newer states.
#[async_trait]
pub(super) trait Edit: Send {
    async fn edit(&mut self, current: &Current) -> Result<Change>;
}

impl Current {
    fn of_entry(entry: Arc<Entry>) -> Self {
        Self { object: entry.value(), revision: entry.revision(), source: Source::Cache(entry) }
    }

    fn is_fresh(&self) -> bool {
        matches!(self.source, Source::Store(_))
    }

    fn is_stored_as(&self, bytes: &[u8]) -> bool {
        match &self.source {
            Source::Cache(entry) => entry.is_stored_as(bytes),
            Source::Store(stored) => stored == bytes,
        }
    }
}

/// What one attempt to write led to.
enum Attempt {
    Done(Written),
    /// Someone else was faster; the object as it is now, if it is still there.
    Lost(Option<Box<Current>>),
    /// Nothing would change, judged by what may be out of date.
    Unsure,
}

impl Registry {
    /// Changes the object at `key`; `None` when there is none.
    pub(super) async fn change(
        &self,
        scope: &Scope<'_>,
        key: &str,
        edit: &mut dyn Edit,
        dry_run: bool,
    ) -> Result<Option<Written>> {
        let mut current = self.current(scope, key).await?;
        for _ in 0..ROUNDS {
            let Some(now) = current else { return Ok(None) };
            current = match edit.edit(&now).await {
                Err(_) if !now.is_fresh() => self.reload(scope, key).await?,
                Err(error) => return Err(error),
                Ok(change) => match self.attempt(scope, key, &now, change, dry_run).await? {
                    Attempt::Done(written) => return Ok(Some(written)),
                    Attempt::Lost(newer) => newer.map(|newer| *newer),
                    Attempt::Unsure => self.reload(scope, key).await?,
                },
            };
        }
        Err(scope.conflict())
    }

    /// The object as the cache or, where it has none, the store sees it.
    async fn current(&self, scope: &Scope<'_>, key: &str) -> Result<Option<Current>> {
        match scope.resource.get(key) {
            Some(entry) => Ok(Some(Current::of_entry(entry))),
            None => self.reload(scope, key).await,
        }
    }

    /// The object as the store has it.
    pub(super) async fn reload(&self, scope: &Scope<'_>, key: &str) -> Result<Option<Current>> {
        let found = self.storage.store.get(&scope.store_key(key), None).await?;
        found.entry.map(|entry| self.opened(entry)).transpose()
    }

    fn opened(&self, entry: store::Entry) -> Result<Current> {
        let bytes = self.storage.transform.open(&entry.key, entry.value).map_err(Error::internal)?;
        let mut object = serde_json::from_slice(&bytes)
            .map_err(|error| Error::internal(format!("the stored object {} cannot be read: {error}", entry.key)))?;
        set_revision(&mut object, entry.modified);
        Ok(Current { object, revision: entry.modified, source: Source::Store(bytes) })
    }

    async fn attempt(
        &self,
        scope: &Scope<'_>,
        key: &str,
        current: &Current,
        change: Change,
        dry_run: bool,
    ) -> Result<Attempt> {
        match change {
            Change::Keep if current.is_fresh() => {
                Ok(Attempt::Done(Written { object: current.object.clone(), gone: false }))
            }
            Change::Keep => Ok(Attempt::Unsure),
            Change::Put { object, reservation } => {
                self.replace(scope, key, current, object, reservation, dry_run).await
            }
            Change::Delete(object) => self.remove(scope, key, current, object, dry_run).await,
        }
    }

    async fn replace(
        &self,
        scope: &Scope<'_>,
        key: &str,
        current: &Current,
        mut object: Value,
        reservation: Option<Box<dyn Reservation>>,
        dry_run: bool,
    ) -> Result<Attempt> {
        object = crate::codec::canonical(&scope.stored, object)?;
        let bytes = stored(&mut object);
        if current.is_stored_as(&bytes) {
            if !current.is_fresh() {
                return Ok(Attempt::Unsure);
            }
            set_revision(&mut object, current.revision);
            return Ok(Attempt::Done(Written { object, gone: false }));
        }
        let store_key = scope.store_key(key);
        if dry_run {
            set_revision(&mut object, current.revision);
            return Ok(Attempt::Done(Written { object, gone: false }));
        }
        let lease = self.leases.for_write(&*self.storage.store, scope.strategy.time_to_live()).await?;
        let sealed = self.storage.transform.seal(&store_key, bytes.into()).map_err(Error::internal)?;
        match self.storage.store.put(&store_key, sealed, Expect::Revision(current.revision), lease).await {
            Ok(revision) => {
                if let Some(reservation) = reservation {
                    reservation.commit();
                }
                set_revision(&mut object, revision);
                Ok(Attempt::Done(Written { object, gone: false }))
            }
            Err(error) => self.lost(error),
        }
    }

    async fn remove(
        &self,
        scope: &Scope<'_>,
        key: &str,
        current: &Current,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Attempt> {
        if dry_run {
            return Ok(Attempt::Done(Written { object, gone: true }));
        }
        let expect = Expect::Revision(current.revision);
        match self.storage.store.delete(&scope.store_key(key), expect).await {
            Ok(deleted) => {
                scope.strategy.released(&self.context(scope, false), &object);
                set_revision(&mut object, deleted.revision);
                Ok(Attempt::Done(Written { object, gone: true }))
            }
            Err(error) => self.lost(error),
        }
    }

    /// A lost race is no failure: the newer state is edited next.
    fn lost(&self, error: StoreError) -> Result<Attempt> {
        match error {
            StoreError::Conflict { current, .. } => {
                let newer = current.map(|entry| self.opened(entry)).transpose()?;
                Ok(Attempt::Lost(newer.map(Box::new)))
            }
            other => Err(other.into()),
        }
    }
}

/// The bytes that go into the store; takes the resourceVersion out of the object.
pub(super) fn stored(object: &mut Value) -> Vec<u8> {
    set(object, "resourceVersion", Value::Null);
    serde_json::to_vec(object).expect("a value is always JSON")
}

/// Puts the resourceVersion where upstream's order has it: behind the uid.
pub(super) fn set_revision(object: &mut Value, revision: u64) {
    let metadata = super::metadata::metadata(object);
    metadata.shift_remove("resourceVersion");
    let place = metadata.keys().position(|key| key == "uid").map_or(0, |at| at + 1);
    metadata.shift_insert(place, "resourceVersion".to_owned(), revision.to_string().into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_comes_and_goes() {
        let mut object = json!({"metadata": {"name": "a", "uid": "u", "generation": 1}});
        set_revision(&mut object, 7);
        assert_eq!(object.to_string(), r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"7","generation":1}}"#);
        assert_eq!(stored(&mut object), br#"{"metadata":{"name":"a","uid":"u","generation":1}}"#);
    }
}
