//! The seam for admission: plugins that change or refuse writes between authorization and the registry's own checks.

use async_trait::async_trait;
use object::{Gvk, Gvr};
use serde_json::Value;

use crate::error::Result;
use crate::objects::Objects;
use crate::pipeline::Warnings;
use crate::user::User;

/// The kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// A write on its way to the registry, without its object.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    pub operation: Operation,
    /// The resource and version that the request's path names.
    pub resource: &'a Gvr,
    /// Empty when the object itself is written.
    pub subresource: &'a str,
    /// The kind that goes with `resource` (for `scale` and the like: the kind of the body).
    pub kind: &'a Gvk,
    /// Empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// Empty on create with a generated name, and on deletecollection.
    pub name: &'a str,
    pub user: &'a User,
    pub dry_run: bool,
    /// The object before an update or a delete, in the storage version.
    pub old: Option<&'a Value>,
    /// The options of the request: `CreateOptions`, `DeleteOptions`, … as an object; for connects, the connect options.
    pub options: &'a Value,
    /// Reading other objects; as fresh as the watch cache.
    pub objects: &'a Objects,
    /// Shown to the caller as `Warning` headers.
    pub warnings: &'a Warnings,
}

impl Admitted<'_> {
    /// Whether the write is to `resource` of `group`, whatever the version.
    #[must_use]
    pub fn is(&self, group: &str, resource: &str) -> bool {
        &*self.resource.group == group && &*self.resource.resource == resource
    }
}

/// An admission plugin. Both phases have defaults; a plugin overrides the one it has something to do in.
///
/// Objects are in their storage version, with defaults applied. On update, a plugin that mutates may be asked again with
/// a newer `old` when the write met a conflict.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Upstream's name of the plugin: `NamespaceLifecycle`.
    fn name(&self) -> &'static str;

    /// A cheap first look; the phases are not asked when this says no.
    fn handles(&self, admitted: &Admitted<'_>) -> bool;

    /// Changes the object, before the registry's checks. `object` is `Null` on delete, and on connect.
    ///
    /// # Errors
    /// When the write is refused, usually [`crate::Error::forbidden`].
    async fn mutate(&self, admitted: &Admitted<'_>, object: &mut Value) -> Result<()> {
        let _ = (admitted, object);
        Ok(())
    }

    /// Judges the object as it is about to be written.
    ///
    /// # Errors
    /// When the write is refused.
    async fn validate(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        let _ = (admitted, object);
        Ok(())
    }
}
