//! Names of resource types and of objects among all types.

use std::borrow::Cow;
use std::fmt;

use kube::core::{ApiResource, DynamicObject};
use kube::{Resource as _, ResourceExt};

use crate::controller::Kind;

/// A resource type at one version: what a request path needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub kind: Cow<'static, str>,
    /// The lower-case plural: `pods`.
    pub plural: Cow<'static, str>,
}

impl Resource {
    #[must_use]
    pub fn of<K: Kind>() -> Self {
        let api = ApiResource::erase::<K>(&());
        Self { group: api.group.into(), version: api.version.into(), kind: api.kind.into(), plural: api.plural.into() }
    }

    /// `apps/v1`, `v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`; `pods.` for the core group.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    #[must_use]
    pub fn api(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_string(),
            version: self.version.to_string(),
            api_version: self.api_version(),
            kind: self.kind.to_string(),
            plural: self.plural.to_string(),
        }
    }

    /// The collection's path: `/apis/apps/v1/namespaces/ns/deployments`.
    #[must_use]
    pub fn path(&self, namespace: Option<&str>) -> String {
        DynamicObject::url_path(&self.api(), namespace)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// One object among all types. An empty name means the collection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub resource: Resource,
    pub namespace: Option<String>,
    pub name: String,
}

impl Target {
    #[must_use]
    pub fn of<K: Kind>(object: &K) -> Self {
        Self { resource: Resource::of::<K>(), namespace: object.namespace(), name: object.name_any() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.resource)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}
