//! What every update of an object goes through, whichever way the new object came about.

use serde_json::Value;

use super::current::{Change, Current};
use super::metadata::{self, finalizers, is_deleting, set, text};
use super::{Admitting, Registry, Scope};
use crate::error::{Error, Result};
use crate::strategy::{Context, Reservation, Strategy};

/// A new object that is to take the place of the current one.
pub(super) struct Replacement<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) admitting: &'a Admitting,
    pub(super) manager: &'a str,
    /// Fields outside of metadata and status that this endpoint does not write are the strategy's business; this says
    /// that the endpoint writes the status and nothing else.
    pub(super) status_only: bool,
}

impl Registry {
    /// Checks `object` (storage version) as an update of `current`: admission, preconditions, strategy, validation,
    /// managed fields.
    pub(super) async fn finish(&self, how: &Replacement<'_>, current: &Current, mut object: Value) -> Result<Change> {
        let (scope, old) = (how.scope, &current.object);
        precondition(scope, current, &object)?;
        let admitted = how.admitting.admitted(scope, &self.objects, &scope.target.name, Some(old));
        self.mutate(&admitted, &mut object).await?;
        let context = self.context(scope, how.admitting.dry_run);
        let reservation = prepare(scope, &context, how, &mut object, old).await?;
        check(scope, &context, &object, old)?;
        self.judge(&admitted, &object).await?;
        super::update::record(scope, how.manager, Some(old), &mut object, self.host.now());
        if goes(scope.strategy, &object, old) {
            return Ok(Change::Delete(object));
        }
        Ok(Change::Put { object, reservation })
    }
}

/// The revision and uid that the caller has named must be the current ones.
fn precondition(scope: &Scope<'_>, current: &Current, object: &Value) -> Result<()> {
    let uid = text(object, "uid");
    let current_uid = text(&current.object, "uid");
    if !uid.is_empty() && uid != current_uid {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {current_uid}");
        return Err(Error::conflict(scope.about(), &scope.target.name, why));
    }
    match text(object, "resourceVersion") {
        "" if !scope.strategy.allows_unconditional_update() => {
            let path = object::field::Path::new("metadata").child("resourceVersion");
            let error = object::field::Error::invalid(&path, 0, "must be specified for an update");
            Err(scope.invalid(&scope.target.name, &error.into()))
        }
        "" | "0" => Ok(()),
        revision if revision.parse() == Ok(current.revision) => Ok(()),
        _ => Err(scope.conflict()),
    }
}

async fn prepare(
    scope: &Scope<'_>,
    context: &Context<'_>,
    how: &Replacement<'_>,
    object: &mut Value,
    old: &Value,
) -> Result<Option<Box<dyn Reservation>>> {
    metadata::carry(object, old);
    if how.status_only {
        keep_all_but_status(object, old);
    } else if scope.served.resource.has_status() && !scope.strategy.writes_status(context.subresource) {
        set_field(object, "status", old.get("status"));
    }
    scope.strategy.prepare_update(context, object, old);
    if scope.strategy.tracks_generation() && differs(object, old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        set(object, "generation", generation + 1);
    }
    scope.strategy.reserve(context, object, Some(old)).await
}

fn check(scope: &Scope<'_>, context: &Context<'_>, object: &Value, old: &Value) -> Result<()> {
    let mut errors = metadata::validate_update(object, old);
    errors.extend(scope.strategy.validate_update(context, object, old));
    if !errors.is_empty() {
        return Err(scope.invalid(&scope.target.name, &errors));
    }
    for warning in scope.strategy.warnings(context, object, Some(old)) {
        scope.warnings.add(warning);
    }
    Ok(())
}

/// Everything but status and metadata stays as it was.
fn keep_all_but_status(object: &mut Value, old: &Value) {
    let (Some(new), Some(old)) = (object.as_object(), old.as_object()) else { return };
    let mut merged = serde_json::Map::with_capacity(old.len());
    for (name, value) in old.iter().filter(|(name, _)| *name != "status") {
        let value = if name == "metadata" { &new["metadata"] } else { value };
        merged.insert(name.clone(), value.clone());
    }
    if let Some(status) = new.get("status") {
        merged.insert("status".to_owned(), status.clone());
    }
    *object = Value::Object(merged);
}

fn set_field(object: &mut Value, name: &str, value: Option<&Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match value {
        Some(value) => {
            fields.insert(name.to_owned(), value.clone());
        }
        None => {
            fields.shift_remove(name);
        }
    }
}

/// Whether anything outside of metadata and status has changed.
fn differs(object: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (object.as_object(), old.as_object()) else { return true };
    let counts = |name: &&String| !matches!(name.as_str(), "metadata" | "status" | "kind" | "apiVersion");
    new.keys().chain(old.keys()).filter(counts).any(|name| new.get(name) != old.get(name))
}

/// Whether an update is the last step of a deletion: nothing holds the object any more.
fn goes(strategy: &dyn Strategy, object: &Value, old: &Value) -> bool {
    is_deleting(old)
        && finalizers(object).next().is_none()
        && old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && strategy.may_go(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_updates_touch_nothing_else() {
        let old = json!({"kind": "A", "metadata": {"name": "a"}, "spec": {"x": 1}, "status": {"y": 1}});
        let mut new =
            json!({"kind": "A", "metadata": {"name": "a", "labels": {}}, "spec": {"x": 2}, "status": {"y": 2}});
        keep_all_but_status(&mut new, &old);
        let expected =
            json!({"kind": "A", "metadata": {"name": "a", "labels": {}}, "spec": {"x": 1}, "status": {"y": 2}});
        assert_eq!(new.to_string(), expected.to_string());
    }

    #[test]
    fn generation_counts_neither_status_nor_metadata() {
        let old = json!({"metadata": {"name": "a"}, "spec": {"x": 1}});
        for (new, expected) in [
            (json!({"metadata": {"name": "b"}, "spec": {"x": 1}, "status": {"y": 1}}), false),
            (json!({"metadata": {"name": "a"}, "spec": {"x": 2}}), true),
            (json!({"metadata": {"name": "a"}}), true),
            (json!({"metadata": {"name": "a"}, "spec": {"x": 1}, "data": {}}), true),
        ] {
            assert_eq!(differs(&new, &old), expected, "{new}");
        }
    }
}
