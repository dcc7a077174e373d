//! Replacing objects (PUT), and recording who wrote what.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::current::{Change, Current, Edit};
use super::edit::Replacement;
use super::metadata::text;
use super::{Admitting, Registry, Scope, Written};
use crate::access::{Attributes, Decision};
use crate::admit::Operation;
use crate::error::{Error, Result};
use crate::parameters::WriteOptions;

/// Puts one object in place of another.
struct Put<'a> {
    registry: &'a Registry,
    how: Replacement<'a>,
    object: &'a Value,
}

#[async_trait]
impl Edit for Put<'_> {
    async fn edit(&mut self, current: &Current) -> Result<Change> {
        self.registry.finish(&self.how, current, self.object.clone()).await
    }
}

/// What a PUT led to.
pub(crate) struct Updated {
    pub(crate) written: Written,
    pub(crate) created: bool,
}

impl Registry {
    /// Replaces the object that the path names by `object`, which is decoded, defaulted and in the storage version.
    pub(crate) async fn update(&self, scope: &Scope<'_>, mut object: Value, options: &WriteOptions) -> Result<Updated> {
        match_name(scope, &object)?;
        super::create::match_namespace(scope, &mut object)?;
        let admitting = Admitting::new(scope, Operation::Update, options.to_value("UpdateOptions"), options.dry_run);
        let manager = manager(scope, options);
        let how = Replacement {
            scope,
            admitting: &admitting,
            manager: &manager,
            status_only: scope.target.subresource == "status",
        };
        let mut put = Put { registry: self, how, object: &object };
        match self.change(scope, &scope.key(), &mut put, options.dry_run).await? {
            Some(written) => Ok(Updated { written, created: false }),
            None if self.may_create(scope, &object) => {
                self.authorize_create(scope).await?;
                Ok(Updated { written: self.create(scope, object, options).await?, created: true })
            }
            None => Err(scope.not_found()),
        }
    }

    /// Whoever creates by an update needs the right to create as well.
    async fn authorize_create(&self, scope: &Scope<'_>) -> Result<()> {
        let target = scope.target;
        let asked = Attributes {
            group: &target.group,
            version: &target.version,
            resource: &target.resource,
            namespace: &target.namespace,
            name: &target.name,
            path: None,
            ..Attributes::of_path(scope.user, "create", "")
        };
        match self.authorizer.authorize(&asked).await {
            Decision::Allow => Ok(()),
            Decision::Deny(why) | Decision::NoOpinion(why) => Err(Error::forbidden(
                scope.about(),
                &target.name,
                format!("User {:?} cannot create resource {:?}: {why}", scope.user.name, target.resource),
            )),
        }
    }

    fn may_create(&self, scope: &Scope<'_>, object: &Value) -> bool {
        scope.target.subresource.is_empty()
            && scope.strategy.allows_create_on_update()
            && matches!(text(object, "resourceVersion"), "" | "0")
            && text(object, "uid").is_empty()
    }
}

fn match_name(scope: &Scope<'_>, object: &Value) -> Result<()> {
    let (name, wanted) = (text(object, "name"), scope.target.name.as_str());
    if name.is_empty() {
        let text = format!("the name of the object ({wanted} based on URL) was undeterminable: name must be provided");
        return Err(Error::bad_request(text));
    }
    if name != wanted {
        let text = format!("the name of the object ({name}) does not match the name on the URL ({wanted})");
        return Err(Error::bad_request(text));
    }
    Ok(())
}

/// The field manager that the caller names, else its program.
pub(super) fn manager(scope: &Scope<'_>, options: &WriteOptions) -> String {
    if options.field_manager.is_empty() { scope.agent.clone() } else { options.field_manager.clone() }
}

/// Writes down which manager owns what it has changed.
pub(super) fn record(scope: &Scope<'_>, manager: &str, old: Option<&Value>, object: &mut Value, now: Timestamp) {
    let api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    let write =
        patch::managed::Write { manager, subresource: &scope.target.subresource, api_version: &api_version, now };
    patch::managed::update(old, object, scope.stored.node(), &write);
}
