//! Creating objects.

use bytes::Bytes;
use serde_json::Value;
use store::{Error as StoreError, Expect};

use super::current::{set_revision, stored};
use super::metadata::{self, set, text};
use super::{Admitting, Registry, Scope, Written};
use crate::admit::Operation;
use crate::error::{Error, Result};
use crate::parameters::WriteOptions;
use crate::storage;
use crate::strategy::Reservation;

/// Generated names that may be taken before the caller is told.
const GENERATE_ATTEMPTS: usize = 8;

impl Registry {
    /// Creates `object`, which is decoded, defaulted and in the storage version.
    pub(crate) async fn create(&self, scope: &Scope<'_>, object: Value, options: &WriteOptions) -> Result<Written> {
        let mut object = object;
        match_namespace(scope, &mut object)?;
        if !matches!(text(&object, "resourceVersion"), "" | "0") {
            return Err(Error::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let generated = text(&object, "name").is_empty() && !text(&object, "generateName").is_empty();
        let attempts = if generated { GENERATE_ATTEMPTS } else { 1 };
        let mut last = None;
        for _ in 0..attempts {
            match self.create_once(scope, object.clone(), options).await {
                Err(error) if error.reason() == "AlreadyExists" => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| Error::already_exists(scope.about(), text(&object, "name"))))
    }

    async fn create_once(&self, scope: &Scope<'_>, mut object: Value, options: &WriteOptions) -> Result<Written> {
        let admitting = Admitting::new(scope, Operation::Create, options.to_value("CreateOptions"), options.dry_run);
        let named = text(&object, "name").to_owned();
        self.mutate(&admitting.admitted(scope, &self.objects, &named, None), &mut object).await?;
        metadata::fill(&self.host, &mut object, scope.namespace());
        let reservation = self.prepare_create(scope, &mut object, options.dry_run).await?;
        let name = text(&object, "name").to_owned();
        self.judge(&admitting.admitted(scope, &self.objects, &name, None), &object).await?;
        let manager = super::update::manager(scope, options);
        super::update::record(scope, &manager, None, &mut object, self.host.now());
        self.insert(scope, &name, object, reservation, options.dry_run).await
    }

    async fn prepare_create(
        &self,
        scope: &Scope<'_>,
        object: &mut Value,
        dry_run: bool,
    ) -> Result<Option<Box<dyn Reservation>>> {
        let context = self.context(scope, dry_run);
        let row = &scope.served.resource;
        if row.has_status()
            && !scope.strategy.keeps_status_on_create()
            && let Some(fields) = object.as_object_mut()
        {
            fields.shift_remove("status");
        }
        if scope.strategy.tracks_generation() {
            set(object, "generation", 1);
        }
        scope.strategy.prepare_create(&context, object);
        let mut errors = metadata::validate(object, row.is_namespaced(), scope.strategy);
        let reservation = if errors.is_empty() { scope.strategy.reserve(&context, object, None).await? } else { None };
        errors.extend(scope.strategy.validate(&context, object));
        if !errors.is_empty() {
            return Err(scope.invalid(text(object, "name"), &errors));
        }
        for warning in scope.strategy.warnings(&context, object, None) {
            scope.warnings.add(warning);
        }
        Ok(reservation)
    }

    async fn insert(
        &self,
        scope: &Scope<'_>,
        name: &str,
        mut object: Value,
        reservation: Option<Box<dyn Reservation>>,
        dry_run: bool,
    ) -> Result<Written> {
        let key = scope.store_key(&storage::key(scope.namespace(), name));
        object = crate::codec::canonical(&scope.stored, object)?;
        let bytes = Bytes::from(stored(&mut object));
        if dry_run {
            return match self.storage.store.get(&key, None).await?.entry {
                Some(there) => Err(self.exists(scope, name, &there)),
                None => Ok(Written { object, gone: false }),
            };
        }
        let lease = self.leases.for_write(&*self.storage.store, scope.strategy.time_to_live()).await?;
        let sealed = self.storage.transform.seal(&key, bytes).map_err(Error::internal)?;
        match self.storage.store.put(&key, sealed, Expect::Absent, lease).await {
            Ok(revision) => {
                if let Some(reservation) = reservation {
                    reservation.commit();
                }
                set_revision(&mut object, revision);
                Ok(Written { object, gone: false })
            }
            Err(StoreError::Conflict { current: Some(there), .. }) => Err(self.exists(scope, name, &there)),
            Err(StoreError::Conflict { current: None, .. }) => Err(Error::already_exists(scope.about(), name)),
            Err(error) => Err(error.into()),
        }
    }

    /// The name is taken; perhaps by an object that is about to go.
    fn exists(&self, scope: &Scope<'_>, name: &str, there: &store::Entry) -> Error {
        let deleting = self
            .storage
            .transform
            .open(&there.key, there.value.clone())
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .is_some_and(|object| metadata::is_deleting(&object));
        let error = Error::already_exists(scope.about(), name);
        if !deleting {
            return error;
        }
        let mut status = error.status().clone();
        status.message = format!("object is being deleted: {}", status.message);
        Error::from_status(status)
    }
}

/// The namespace of the object is that of the path; saying another one is a mistake.
pub(super) fn match_namespace(scope: &Scope<'_>, object: &mut Value) -> Result<()> {
    if !scope.served.resource.is_namespaced() {
        set(object, "namespace", Value::Null);
        return Ok(());
    }
    match text(object, "namespace") {
        "" => set(object, "namespace", scope.namespace()),
        namespace if namespace == scope.namespace() => {}
        _ => {
            let text = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Error::bad_request(text));
        }
    }
    Ok(())
}
