//! Deleting objects: grace, finalizers, propagation.

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::current::{Change, Current, Edit};
use super::metadata::{self, finalizers, is_deleting, set, text};
use super::{Admitting, Registry, Scope, Written};
use crate::admit::Operation;
use crate::cache::Entry;
use crate::error::{Error, Result};
use crate::parameters::{DeleteOptions, Propagation};
use crate::request::Target;
use crate::strategy::Collection;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// Objects of a collection that are deleted at once.
const WORKERS: usize = 10;

/// Takes an object as far towards its end as it may go now.
struct Removal<'a> {
    registry: &'a Registry,
    scope: &'a Scope<'a>,
    admitting: &'a Admitting,
    options: &'a DeleteOptions,
}

#[async_trait]
impl Edit for Removal<'_> {
    async fn edit(&mut self, current: &Current) -> Result<Change> {
        let (registry, scope) = (self.registry, self.scope);
        precondition(scope, self.options, current)?;
        let old = &current.object;
        let admitted = self.admitting.admitted(scope, &registry.objects, &scope.target.name, Some(old));
        registry.mutate(&admitted, &mut Value::Null).await?;
        registry.judge(&admitted, &Value::Null).await?;
        Ok(self.step(old))
    }
}

/// How far the grace period has come.
enum Grace {
    /// There is none, or it is over.
    None,
    /// It has just been set or shortened.
    Begun(i64),
    /// It runs, and this request does not shorten it.
    Pending,
}

impl Removal<'_> {
    fn step(&self, old: &Value) -> Change {
        let mut object = old.clone();
        let grace = self.grace(&mut object);
        if matches!(grace, Grace::Pending) {
            return Change::Keep;
        }
        let propagation = propagation_finalizers(&object, self.options, self.scope.strategy.collection());
        if let Some(finalizers) = propagation {
            set(&mut object, "finalizers", finalizers);
        }
        let held = finalizers(&object).next().is_some() || !self.scope.strategy.may_go(&object);
        match grace {
            Grace::Begun(seconds) if seconds > 0 || held => Change::Put { object, reservation: None },
            Grace::None if held => self.wait(object, old),
            _ => Change::Delete(object),
        }
    }

    /// Nothing but finalizers keeps the object.
    fn wait(&self, mut object: Value, old: &Value) -> Change {
        let now = self.registry.host.now();
        metadata::mark_deleting(&mut object, now);
        let context = self.registry.context(self.scope, self.options.dry_run);
        self.scope.strategy.mark_deleted(&context, &mut object);
        if object == *old { Change::Keep } else { Change::Put { object, reservation: None } }
    }

    fn grace(&self, object: &mut Value) -> Grace {
        if is_deleting(object) {
            return shorten(object, self.options.grace_period_seconds);
        }
        let context = self.registry.context(self.scope, self.options.dry_run);
        let Some(seconds) = self.scope.strategy.grace_period(&context, object, self.options.grace_period_seconds)
        else {
            return Grace::None;
        };
        let seconds = seconds.min(LONGEST_GRACE);
        let end = self.registry.host.now() + SignedDuration::from_secs(seconds);
        set(object, "deletionTimestamp", object::time::seconds(end));
        set(object, "deletionGracePeriodSeconds", seconds);
        metadata::bump_generation(object);
        Grace::Begun(seconds)
    }
}

/// Longest time in seconds that an object may take to end: beyond it no date can be written.
const LONGEST_GRACE: i64 = 2_147_483_647;

/// A deletion under way can only be made shorter.
fn shorten(object: &mut Value, requested: Option<i64>) -> Grace {
    let Some(present) = object["metadata"]["deletionGracePeriodSeconds"].as_i64() else { return Grace::None };
    if present == 0 {
        return Grace::None;
    }
    let Some(seconds) = requested.filter(|seconds| *seconds < present) else { return Grace::Pending };
    if let Some(end) = object::time::parse(text(object, "deletionTimestamp")) {
        let earlier = SignedDuration::from_secs(present.saturating_sub(seconds).clamp(0, LONGEST_GRACE));
        let end = end - earlier;
        set(object, "deletionTimestamp", object::time::seconds(end));
    }
    set(object, "deletionGracePeriodSeconds", seconds);
    Grace::Begun(seconds)
}

/// The finalizers that the wished propagation asks for, if they are not those the object has.
fn propagation_finalizers(object: &Value, options: &DeleteOptions, collection: Collection) -> Option<Value> {
    if collection == Collection::Unsupported {
        return None;
    }
    let has = |wanted: &str| finalizers(object).any(|finalizer| finalizer == wanted);
    let orphan = match (options.orphan_dependents, options.propagation) {
        (Some(orphan), _) => orphan,
        (None, Some(propagation)) => propagation == Propagation::Orphan,
        (None, None) if has(ORPHAN) => true,
        (None, None) if has(FOREGROUND) => false,
        (None, None) => collection == Collection::Orphan,
    };
    let foreground = match (options.orphan_dependents, options.propagation) {
        (Some(_), _) => false,
        (None, Some(propagation)) => propagation == Propagation::Foreground,
        (None, None) => !has(ORPHAN) && has(FOREGROUND),
    };
    let kept = finalizers(object).filter(|finalizer| !matches!(*finalizer, ORPHAN | FOREGROUND));
    let wanted: Vec<&str> = kept.chain(orphan.then_some(ORPHAN)).chain(foreground.then_some(FOREGROUND)).collect();
    let unchanged = wanted.len() == finalizers(object).count() && wanted.iter().all(|finalizer| has(finalizer));
    (!unchanged).then(|| if wanted.is_empty() { Value::Null } else { json!(wanted) })
}

fn precondition(scope: &Scope<'_>, options: &DeleteOptions, current: &Current) -> Result<()> {
    let uid = text(&current.object, "uid");
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
        return Err(Error::conflict(scope.about(), &scope.target.name, why));
    }
    let revision = current.revision.to_string();
    if let Some(wanted) = options.resource_version.as_deref().filter(|wanted| *wanted != revision) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {revision}"
        );
        return Err(Error::conflict(scope.about(), &scope.target.name, why));
    }
    Ok(())
}

impl Registry {
    pub(crate) async fn delete(&self, scope: &Scope<'_>, options: &DeleteOptions) -> Result<Written> {
        let admitting = Admitting::new(scope, Operation::Delete, options.to_value(), options.dry_run);
        let mut removal = Removal { registry: self, scope, admitting: &admitting, options };
        let written = self.change(scope, &scope.key(), &mut removal, options.dry_run).await?;
        written.ok_or_else(|| scope.not_found())
    }

    /// Deletes every one of `entries`; those that are gone meanwhile do not matter.
    pub(crate) async fn delete_collection(
        &self,
        scope: &Scope<'_>,
        entries: &[std::sync::Arc<Entry>],
        options: &DeleteOptions,
    ) -> Result<()> {
        let mut running = FuturesUnordered::new();
        for entry in entries {
            if running.len() >= WORKERS {
                running.try_next().await?;
            }
            running.push(self.delete_one(scope, entry, options));
        }
        while running.try_next().await?.is_some() {}
        Ok(())
    }

    async fn delete_one(&self, scope: &Scope<'_>, entry: &Entry, options: &DeleteOptions) -> Result<()> {
        let target =
            Target { namespace: entry.namespace().to_owned(), name: entry.name().to_owned(), ..scope.target.clone() };
        let scope = Scope {
            served: scope.served.clone(),
            stored: scope.stored.clone(),
            resource: scope.resource.clone(),
            target: &target,
            agent: scope.agent.clone(),
            ..*scope
        };
        match self.delete(&scope, options).await {
            Err(error) if error.reason() == "NotFound" => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(present: Value, options: DeleteOptions, collection: Collection, expected: Option<Value>) {
        let object = json!({"metadata": {"finalizers": present}});
        assert_eq!(propagation_finalizers(&object, &options, collection), expected, "{object} {options:?}");
    }

    fn wish(propagation: Propagation) -> DeleteOptions {
        DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() }
    }

    #[test]
    fn propagation_sets_finalizers() {
        let background = Collection::Background;
        check(json!(null), DeleteOptions::default(), background, None);
        check(json!(null), DeleteOptions::default(), Collection::Orphan, Some(json!(["orphan"])));
        check(json!(["a/b"]), wish(Propagation::Foreground), background, Some(json!(["a/b", "foregroundDeletion"])));
        check(json!(["foregroundDeletion"]), wish(Propagation::Orphan), background, Some(json!(["orphan"])));
        check(json!(["orphan"]), wish(Propagation::Background), background, Some(Value::Null));
        check(json!(["orphan"]), DeleteOptions::default(), background, None);
        check(json!(null), wish(Propagation::Orphan), Collection::Unsupported, None);
        let orphan = DeleteOptions { orphan_dependents: Some(true), ..DeleteOptions::default() };
        check(json!(null), orphan, background, Some(json!(["orphan"])));
    }

    #[test]
    fn grace_only_gets_shorter() {
        let object =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}});
        for (requested, expected) in
            [(None, "2026-01-01T00:00:30Z"), (Some(40), "2026-01-01T00:00:30Z"), (Some(10), "2026-01-01T00:00:10Z")]
        {
            let mut object = object.clone();
            let begun = matches!(shorten(&mut object, requested), Grace::Begun(_));
            assert_eq!((text(&object, "deletionTimestamp"), begun), (expected, requested == Some(10)));
        }
    }
}
