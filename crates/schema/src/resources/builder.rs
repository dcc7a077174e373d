//! How a row is written: what is usual is left out.

use std::sync::Arc;

use object::Gvk;

use super::lifecycle;
use crate::{
    columns::{self, Columns},
    convert::Conversion,
    facts::{Facts, Type},
    resource::{
        Resource, ScalePaths, Scope, SelectableField, Subresource, SubresourceKind, Text, Verb, Verbs, Version,
    },
};

/// A row before its types are looked up.
pub(super) struct Row {
    resource: Resource,
    versions: Vec<&'static str>,
    storage: &'static str,
}

/// Rows of one group.
pub(super) fn group<const N: usize>(group: &'static str, rows: [Row; N]) -> Vec<Row> {
    let prefix = |row: &Row| match group {
        "apiextensions.k8s.io" | "apiregistration.k8s.io" => format!("/registry/{group}/{}", row.resource.plural),
        _ => format!("/registry/{}", row.resource.plural),
    };
    rows.into_iter()
        .map(|mut row| {
            row.resource.group = group.into();
            if row.resource.storage_prefix.is_empty() {
                row.resource.storage_prefix = prefix(&row).into();
            }
            row
        })
        .collect()
}

/// A namespaced type, served and stored as `v1`, with all verbs.
pub(super) fn namespaced(kind: &'static str, plural: &'static str) -> Row {
    Row {
        resource: Resource {
            group: Text::Borrowed(""),
            kind: kind.into(),
            list_kind: format!("{kind}List").into(),
            plural: plural.into(),
            singular: kind.to_ascii_lowercase().into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope: Scope::Namespaced,
            verbs: Verbs::ALL,
            versions: Vec::new(),
            storage: 0,
            stored_as: None,
            subresources: Vec::new(),
            selectable_fields: Vec::new(),
            columns: Columns::default(),
            conversion: Conversion::None,
            storage_prefix: Text::Borrowed(""),
            custom: false,
        },
        versions: vec!["v1"],
        storage: "v1",
    }
}

/// A cluster-scoped type, otherwise as [`namespaced`].
pub(super) fn cluster(kind: &'static str, plural: &'static str) -> Row {
    let mut row = namespaced(kind, plural);
    row.resource.scope = Scope::Cluster;
    row
}

impl Row {
    /// The served versions, preferred first; the first is stored.
    pub(super) fn versions(mut self, versions: &[&'static str]) -> Self {
        self.versions = versions.to_vec();
        self.storage = versions[0];
        self
    }

    pub(super) fn short(mut self, names: &[&'static str]) -> Self {
        self.resource.short_names = names.iter().copied().map(Text::Borrowed).collect();
        self
    }

    pub(super) fn singular(mut self, name: &'static str) -> Self {
        self.resource.singular = name.into();
        self
    }

    pub(super) fn category(mut self, name: &'static str) -> Self {
        self.resource.categories.push(name.into());
        self
    }

    pub(super) fn verbs(mut self, verbs: Verbs) -> Self {
        self.resource.verbs = verbs;
        self
    }

    /// Only posted, never stored: reviews and bindings.
    pub(super) fn create_only(self) -> Self {
        self.verbs(Verbs::CREATE)
    }

    pub(super) fn without(mut self, verb: Verb) -> Self {
        self.resource.verbs = self.resource.verbs.without(verb);
        self
    }

    pub(super) fn status(self) -> Self {
        self.subresource("status", SubresourceKind::Status, Verbs::VIEW, None)
    }

    /// The usual scale: `spec.replicas`, `status.replicas` and the selector at a path.
    pub(super) fn scale(self, selector: &'static str) -> Self {
        let paths = ScalePaths {
            spec_replicas: "spec.replicas".into(),
            status_replicas: "status.replicas".into(),
            selector: Some(selector.into()),
        };
        let body = Gvk::new("autoscaling", "v1", "Scale");
        self.subresource("scale", SubresourceKind::Scale(paths), Verbs::VIEW, Some(body))
    }

    /// A view of the same object.
    pub(super) fn view(self, name: &'static str) -> Self {
        self.subresource(name, SubresourceKind::View, Verbs::VIEW, None)
    }

    /// A view that can only be updated.
    pub(super) fn update_only(self, name: &'static str) -> Self {
        self.subresource(name, SubresourceKind::View, Verbs::UPDATE, None)
    }

    /// A subresource to which another kind is posted.
    pub(super) fn action(self, name: &'static str, group: &str, kind: &str) -> Self {
        self.subresource(name, SubresourceKind::Action, Verbs::CREATE, Some(Gvk::new(group, "v1", kind)))
    }

    /// A stream or proxy; discovery lists its verbs by HTTP method.
    pub(super) fn connect(self, name: &'static str, verbs: Verbs, kind: &str) -> Self {
        self.subresource(name, SubresourceKind::Connect, verbs, Some(Gvk::new("", "v1", kind)))
    }

    /// Fields for selectors whose name is their path.
    pub(super) fn fields(mut self, names: &[&'static str]) -> Self {
        let field = |name: &&'static str| SelectableField::new(*name, *name, "");
        self.resource.selectable_fields.extend(names.iter().map(field));
        self
    }

    /// A field for selectors with another path, or with a value when absent.
    pub(super) fn field(mut self, name: &'static str, path: &'static str, absent: &'static str) -> Self {
        self.resource.selectable_fields.push(SelectableField::new(name, path, absent));
        self
    }

    pub(super) fn conversion(mut self, conversion: Conversion) -> Self {
        self.resource.conversion = conversion;
        self
    }

    /// Stored as another type, under that type's prefix.
    pub(super) fn stored_as(mut self, gvk: Gvk) -> Self {
        self.resource.stored_as = Some(gvk);
        self
    }

    pub(super) fn prefix(mut self, prefix: &'static str) -> Self {
        self.resource.storage_prefix = prefix.into();
        self
    }

    /// Looks the types up.
    pub(super) fn build(self, facts: &Arc<Facts>) -> Resource {
        let mut resource = self.resource;
        for name in &self.versions {
            let ty = format!("{}.{name}.{}", module(&resource.group), resource.kind);
            let id = facts.find(&ty).expect("every row's type is in the facts; a test builds all rows");
            let deprecation = lifecycle::warning(&resource.group, name, &resource.kind).map(Text::Owned);
            let version = Version { name: (*name).into(), ty: Type::new(facts.clone(), id), served: true, deprecation };
            resource.versions.push(version);
        }
        resource.columns = columns::built_in(&resource.qualified());
        resource.storage = resource.version(self.storage).expect("a row stores one of its versions");
        resource
    }

    fn subresource(mut self, name: &'static str, kind: SubresourceKind, verbs: Verbs, body: Option<Gvk>) -> Self {
        self.resource.subresources.push(Subresource { name: name.into(), kind, verbs, body });
        self
    }
}

/// What stands for a group in the names of its types.
fn module(group: &str) -> &str {
    match group {
        "" => "core",
        "internal.apiserver.k8s.io" => "apiserverinternal",
        _ => group.split('.').next().unwrap_or(group),
    }
}
