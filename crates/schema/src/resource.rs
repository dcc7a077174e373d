//! A resource type as a row: everything that routes, discovery, tables, storage and RBAC derive from.

use std::{borrow::Cow, fmt, sync::Arc};

use object::{Gvk, Gvr};

use crate::{columns::Columns, convert::Conversion, facts::Type};

/// Text of a row: static for built-in types, owned for those registered at run time.
pub type Text = Cow<'static, str>;

/// Whether objects live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// What may be asked of a resource, in discovery's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

/// A set of verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Verbs(u8);

/// One version of a resource.
#[derive(Debug, Clone)]
pub struct Version {
    pub name: Text,
    /// The shape of one object.
    pub ty: Type,
    /// False: stored objects of it may exist, but no route leads to it.
    pub served: bool,
    /// The warning that answers carry, when the version is deprecated.
    pub deprecation: Option<Text>,
}

/// What hangs below an object.
#[derive(Debug, Clone)]
pub struct Subresource {
    pub name: Text,
    pub kind: SubresourceKind,
    /// What may be asked of it. Streams and proxies are RBAC's `get` and `create` (and more), by HTTP method.
    pub verbs: Verbs,
    /// The kind that bodies have when it is not the resource's own: group, version, kind.
    pub body: Option<Gvk>,
}

/// How a subresource behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubresourceKind {
    /// `status`: the same object, where only the status is written.
    Status,
    /// `scale`: a view of replicas at these paths.
    Scale(ScalePaths),
    /// The same object, where a strategy says what is written (`approval`, `resize`, `ephemeralcontainers`,
    /// `finalize`).
    View,
    /// Creates something else (`binding`, `eviction`, `token`).
    Action,
    /// A stream to a node or a proxy (`exec`, `attach`, `portforward`, `proxy`), or a log.
    Connect,
}

/// Where a scale finds its numbers: dotted paths from the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    pub spec_replicas: Text,
    pub status_replicas: Text,
    /// A label selector: a JSON `LabelSelector`, a map or a string.
    pub selector: Option<Text>,
}

/// A field that field selectors may name beside `metadata.name` and `metadata.namespace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectableField {
    /// The name in selectors.
    pub name: Text,
    /// Where the value is; differs from the name for aliases.
    pub path: Text,
    /// What the field is when absent: `false` for booleans and `0` for numbers, else empty; with a dot in front, the path
    /// of another selectable field that stands for it.
    pub absent: Text,
}

/// A resource type.
#[derive(Debug, Clone)]
pub struct Resource {
    pub group: Text,
    pub kind: Text,
    pub list_kind: Text,
    pub plural: Text,
    pub singular: Text,
    pub short_names: Vec<Text>,
    pub categories: Vec<Text>,
    pub scope: Scope,
    pub verbs: Verbs,
    /// In order of preference: the first served one is what discovery prefers.
    pub versions: Vec<Version>,
    /// Index into `versions`.
    pub storage: usize,
    /// The type that objects are stored as when it is one of another group: events of `events.k8s.io` are stored as
    /// core events, under their prefix.
    pub stored_as: Option<Gvk>,
    pub subresources: Vec<Subresource>,
    pub selectable_fields: Vec<SelectableField>,
    pub columns: Columns,
    /// Bytes between versions other than renaming `apiVersion`.
    pub conversion: Conversion,
    /// The key prefix in the store, with neither instance prefix nor trailing slash: `/registry/pods`.
    pub storage_prefix: Text,
    /// True for rows that came at run time: their objects have no protobuf form and no strategic merge patch.
    pub custom: bool,
}

/// One version of a resource: what a request path resolves to.
#[derive(Debug, Clone)]
pub struct Served {
    pub resource: Arc<Resource>,
    /// Index into the resource's versions.
    pub version: usize,
}

impl Verbs {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(0xff);
    pub const CREATE: Self = Self::of(&[Verb::Create]);
    pub const READ: Self = Self::of(&[Verb::Get]);
    pub const GET_LIST: Self = Self::of(&[Verb::Get, Verb::List]);
    /// Get, patch, update: what `status` and its like have.
    pub const VIEW: Self = Self::of(&[Verb::Get, Verb::Patch, Verb::Update]);
    pub const UPDATE: Self = Self::of(&[Verb::Update]);
    /// GET and POST on a stream.
    pub const STREAM: Self = Self::of(&[Verb::Create, Verb::Get]);
    /// Every HTTP method on a proxy.
    pub const CONNECT: Self = Self::of(&[Verb::Create, Verb::Delete, Verb::Get, Verb::Patch, Verb::Update]);

    #[must_use]
    pub const fn of(verbs: &[Verb]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < verbs.len() {
            bits |= 1 << verbs[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    #[must_use]
    pub const fn without(self, verb: Verb) -> Self {
        Self(self.0 & !(1 << verb as u8))
    }

    #[must_use]
    pub const fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::EACH.into_iter().filter(move |verb| self.contains(*verb))
    }
}

impl Verb {
    const EACH: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    /// As RBAC and discovery spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Resource {
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// `deployments.apps`, or `pods` for the core group.
    #[must_use]
    pub fn qualified(&self) -> String {
        object::qualified_resource(&self.group, &self.plural)
    }

    #[must_use]
    pub fn storage_version(&self) -> &Version {
        &self.versions[self.storage]
    }

    #[must_use]
    pub fn version(&self, name: &str) -> Option<usize> {
        self.versions.iter().position(|v| v.name == name)
    }

    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    #[must_use]
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// The value of a field that selectors may name; `None` when they may not.
    #[must_use]
    pub fn field_value<'a>(&'a self, object: &'a serde_json::Value, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "metadata.name" => Some(object::meta::name(object).into()),
            "metadata.namespace" if self.has_namespace_field() => Some(object::meta::namespace(object).into()),
            _ => self.selectable_fields.iter().find(|f| f.name == field).map(|f| f.value(object)),
        }
    }

    /// Whether field selectors may name the field.
    #[must_use]
    pub fn is_selectable(&self, field: &str) -> bool {
        field == "metadata.name"
            || (field == "metadata.namespace" && self.has_namespace_field())
            || self.selectable_fields.iter().any(|f| f.name == field)
    }

    /// Types without fields of their own take the namespace for a field even where they have none.
    fn has_namespace_field(&self) -> bool {
        self.is_namespaced() || (self.selectable_fields.is_empty() && !self.custom)
    }

    /// Why field selectors may not name the field, in upstream's words.
    #[must_use]
    pub fn unselectable(&self, version: &str, field: &str) -> String {
        if self.selectable_fields.is_empty() && !self.custom {
            return format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
        }
        match &*self.kind {
            "Job" if self.group == "batch" => format!("field label {field:?} not supported for Job"),
            "ResourceSlice" if self.group == "resource.k8s.io" => {
                let version = object::api_version(&self.group, version);
                format!("field label not supported for {version}, Kind={}: {field}", self.kind)
            }
            _ => format!("field label not supported: {field}"),
        }
    }

    /// True when objects are stored and can be read back: reviews and bindings are not.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.verbs.contains(Verb::List) && self.plural != "componentstatuses"
    }

    /// The store's key of an object. `namespace` is ignored for cluster scope.
    #[must_use]
    pub fn key(&self, namespace: &str, name: &str) -> String {
        match self.scope {
            Scope::Namespaced => format!("{}/{namespace}/{name}", self.storage_prefix),
            Scope::Cluster => format!("{}/{name}", self.storage_prefix),
        }
    }

    /// The prefix of all keys, or of those in one namespace; ends with a slash.
    #[must_use]
    pub fn key_prefix(&self, namespace: Option<&str>) -> String {
        match (self.scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => format!("{}/{namespace}/", self.storage_prefix),
            _ => format!("{}/", self.storage_prefix),
        }
    }
}

impl SelectableField {
    /// A field with the value that it has when absent.
    #[must_use]
    pub fn new(name: impl Into<Text>, path: impl Into<Text>, absent: impl Into<Text>) -> Self {
        Self { name: name.into(), path: path.into(), absent: absent.into() }
    }

    /// The field's value in an object, as selectors compare it.
    #[must_use]
    pub fn value<'a>(&'a self, object: &'a serde_json::Value) -> Cow<'a, str> {
        let found = self.path.split('.').try_fold(object, |value, step| value.get(step));
        match found {
            Some(serde_json::Value::String(s)) => s.as_str().into(),
            Some(serde_json::Value::Null) | None => match self.absent.strip_prefix('.') {
                Some(other) => Self::new("", other.to_owned(), "").value(object).into_owned().into(),
                None => self.absent.as_ref().into(),
            },
            Some(other) => other.to_string().into(),
        }
    }
}

impl Served {
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.resource.versions[self.version]
    }

    #[must_use]
    pub fn ty(&self) -> &Type {
        &self.version().ty
    }

    #[must_use]
    pub fn gvk(&self) -> Gvk {
        Gvk::new(&self.resource.group, &self.version().name, &self.resource.kind)
    }

    #[must_use]
    pub fn gvr(&self) -> Gvr {
        Gvr::new(&self.resource.group, &self.version().name, &self.resource.plural)
    }

    /// `apps/v1`, or `v1` for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        object::api_version(&self.resource.group, &self.version().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verb_sets() {
        let names = |verbs: Verbs| verbs.iter().map(Verb::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!(names(Verbs::ALL), "create delete deletecollection get list patch update watch");
        assert_eq!(names(Verbs::VIEW), "get patch update");
        assert_eq!(
            names(Verbs::ALL.without(Verb::DeleteCollection).without(Verb::Patch)),
            "create delete get list update watch"
        );
    }
}
