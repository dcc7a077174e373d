//! The generic registry: what every resource can do, over its row of the table.

mod binding;
mod create;
mod current;
mod delete;
mod edit;
mod get;
mod list;
mod metadata;
mod patch;
mod scale;
mod token;
mod update;
mod view;
mod watch;

use std::sync::Arc;

use host::Host;
use object::{Gvk, Gvr};
use schema::{Served, Table, Type};
use serde_json::Value;

pub(crate) use patch::Patch;
pub(crate) use scale::{Rescale, scale_of};
pub(crate) use view::{Form, Show, View};

use crate::access::Authorizer;
use crate::admit::{Admission, Admitted, Operation};
use crate::allocator::Allocators;
use crate::cache::{self, Cache};
use crate::error::{About, Error, Result};
use crate::objects::Objects;
use crate::options::Limits;
use crate::pipeline::Warnings;
use crate::request::Target;
use crate::storage::{self, Storage};
use crate::strategy::{Context, Strategy};
use crate::user::User;

/// Serves all stored resources.
pub(crate) struct Registry {
    pub(crate) host: Host,
    pub(crate) table: Arc<Table>,
    pub(crate) storage: Storage,
    pub(crate) cache: Arc<Cache>,
    pub(crate) objects: Objects,
    pub(crate) allocators: Allocators,
    /// Asked again where one request does what is another verb's business.
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) admission: Vec<Arc<dyn Admission>>,
    pub(crate) limits: Limits,
    pub(crate) leases: crate::lease::Leases,
}

/// What a request is about: the row, the version, the object, the caller.
pub(crate) struct Scope<'a> {
    pub(crate) served: Served,
    /// The type that objects are stored as.
    pub(crate) stored: Type,
    pub(crate) resource: Arc<cache::Resource>,
    pub(crate) strategy: &'static dyn Strategy,
    pub(crate) target: &'a Target,
    pub(crate) user: &'a User,
    pub(crate) warnings: &'a Warnings,
    /// The caller's program, from its User-Agent; the default field manager.
    pub(crate) agent: String,
}

/// An object as it is now in the store.
#[derive(Debug)]
pub(crate) struct Written {
    /// In its storage version, resourceVersion included.
    pub(crate) object: Value,
    /// Whether the object is gone from the store (deleted, or its last finalizer removed).
    pub(crate) gone: bool,
}

impl Scope<'_> {
    pub(crate) fn about(&self) -> About<'_> {
        About { group: &self.served.resource.group, resource: &self.served.resource.plural }
    }

    /// The namespace of the objects in question; empty for cluster-scoped resources, whatever the path says.
    pub(crate) fn namespace(&self) -> &str {
        if self.served.resource.is_namespaced() { &self.target.namespace } else { "" }
    }

    /// The key of the object that the path names, within its resource.
    pub(crate) fn key(&self) -> String {
        storage::key(self.namespace(), &self.target.name)
    }

    pub(crate) fn store_key(&self, key: &str) -> String {
        format!("{}{key}", self.resource.definition().prefix)
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::not_found(self.about(), &self.target.name)
    }

    pub(crate) fn conflict(&self) -> Error {
        Error::modified(self.about(), &self.target.name)
    }

    pub(crate) fn kind(&self) -> Gvk {
        self.served.gvk()
    }

    pub(crate) fn gvr(&self) -> Gvr {
        self.served.gvr()
    }

    pub(crate) fn invalid(&self, name: &str, errors: &object::field::ErrorList) -> Error {
        Error::invalid(&self.served.resource.group, &self.served.resource.kind, name, errors)
    }
}

impl Registry {
    /// The cache of a row; an empty one for rows that store nothing.
    pub(crate) fn resource_of(&self, row: &schema::Resource) -> Arc<cache::Resource> {
        let prefix = row.key_prefix(None);
        self.cache.at(&prefix).unwrap_or_else(|| Arc::new(cache::Resource::empty(&prefix)))
    }

    /// What strategies may look at.
    fn context<'a>(&'a self, scope: &'a Scope<'_>, dry_run: bool) -> Context<'a> {
        Context {
            now: self.host.now(),
            host: &self.host,
            user: scope.user,
            namespace: scope.namespace(),
            subresource: &scope.target.subresource,
            dry_run,
            objects: &self.objects,
            allocators: &self.allocators,
            warnings: scope.warnings,
        }
    }

    /// Lets the admission plugins change the object.
    pub(crate) async fn mutate(&self, admitted: &Admitted<'_>, object: &mut Value) -> Result<()> {
        for plugin in self.admission.iter().filter(|plugin| plugin.handles(admitted)) {
            plugin.mutate(admitted, object).await?;
        }
        Ok(())
    }

    /// Lets the admission plugins judge the object.
    pub(crate) async fn judge(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        for plugin in self.admission.iter().filter(|plugin| plugin.handles(admitted)) {
            plugin.validate(admitted, object).await?;
        }
        Ok(())
    }
}

/// The parts of [`Admitted`] that live as long as a write.
pub(crate) struct Admitting {
    pub(crate) operation: Operation,
    pub(crate) resource: Gvr,
    pub(crate) kind: Gvk,
    pub(crate) options: Value,
    pub(crate) dry_run: bool,
}

impl Admitting {
    pub(crate) fn new(scope: &Scope<'_>, operation: Operation, options: Value, dry_run: bool) -> Self {
        Self { operation, resource: scope.gvr(), kind: scope.kind(), options, dry_run }
    }

    pub(crate) fn admitted<'a>(
        &'a self,
        scope: &'a Scope<'_>,
        objects: &'a Objects,
        name: &'a str,
        old: Option<&'a Value>,
    ) -> Admitted<'a> {
        Admitted {
            operation: self.operation,
            resource: &self.resource,
            subresource: &scope.target.subresource,
            kind: &self.kind,
            namespace: scope.namespace(),
            name,
            user: scope.user,
            dry_run: self.dry_run,
            old,
            options: &self.options,
            objects,
            warnings: scope.warnings,
        }
    }
}
