//! The built-in table as a whole, and rows that come and go.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use object::Gvk;
use schema::{RegisterError, Resource, SubresourceKind, Table, Type, Verb, Verbs};

#[test]
fn plurals_and_kinds_are_unique() {
    let snapshot = Table::builtin().snapshot();
    let rows: Vec<_> = snapshot.rows().collect();
    assert_eq!(rows.len(), 76);
    assert_eq!(rows.iter().flat_map(|row| &row.versions).count(), 95);
    let kinds: BTreeSet<_> = rows.iter().map(|row| (&row.group, &row.kind)).collect();
    assert_eq!(kinds.len(), rows.len());
    let prefixes: BTreeSet<_> =
        rows.iter().filter(|row| row.is_stored() && row.stored_as.is_none()).map(|row| &row.storage_prefix).collect();
    assert_eq!(prefixes.len(), rows.iter().filter(|row| row.is_stored() && row.stored_as.is_none()).count());
}

#[test]
fn short_names_are_unique() {
    let snapshot = Table::builtin().snapshot();
    let mut seen = BTreeSet::new();
    for row in snapshot.rows().filter(|row| row.stored_as.is_none()) {
        for name in &row.short_names {
            assert!(seen.insert(name.clone()), "{name} is used twice");
        }
    }
}

#[test]
fn every_path_of_a_row_leads_to_a_field() {
    for row in Table::builtin().snapshot().rows() {
        let check = |path: &str| {
            // Values are read where they are stored, which may be another type.
            let stored = row.stored_as.as_ref().and_then(Type::of_kind);
            let mut types = row.versions.iter().map(|version| &version.ty).chain(&stored);
            let found = types.any(|ty| path.split('.').try_fold(ty.node(), |node, name| node.field(name)).is_some());
            assert!(found, "{} has no {path}", row.qualified());
        };
        row.selectable_fields.iter().for_each(|field| check(&field.path));
        for subresource in &row.subresources {
            if let SubresourceKind::Scale(scale) = &subresource.kind {
                check(&scale.spec_replicas);
                check(&scale.status_replicas);
                check(scale.selector.as_deref().expect("built-in scales have selectors"));
            }
        }
        assert!(!row.has_status() || row.storage_version().ty.get().field("status").is_some());
        for version in &row.versions {
            let gvk = Gvk::new(&row.group, &version.name, &row.kind);
            assert_eq!(version.ty.get().gvk.as_ref(), Some(&gvk));
        }
    }
}

#[test]
fn lookups() {
    let table = Table::builtin();
    let snapshot = table.snapshot();
    let deployments = snapshot.resource("apps", "v1", "deployments").expect("served");
    assert_eq!(deployments.gvk().to_string(), "apps/v1, Kind=Deployment");
    assert_eq!(deployments.resource.key("ns", "a"), "/registry/deployments/ns/a");
    assert_eq!(deployments.resource.key_prefix(None), "/registry/deployments/");
    assert!(snapshot.resource("apps", "v1beta1", "deployments").is_none());
    assert_eq!(snapshot.kind(&Gvk::new("", "v1", "Pod")).expect("served").resource.plural, "pods");
    assert_eq!(snapshot.groups().len(), 23);
    assert_eq!(snapshot.groups().iter().map(|g| g.versions.len()).sum::<usize>(), 36);
    let services = snapshot.row("", "services").expect("there");
    assert_eq!(services.key("ns", "a"), "/registry/services/specs/ns/a");
}

/// A row as a custom resource definition makes one; its type does not matter here.
fn widgets(kind: &'static str, plural: &'static str) -> Resource {
    let snapshot = Table::builtin().snapshot();
    let mut row = Resource::clone(snapshot.row("", "configmaps").expect("there"));
    (row.group, row.kind, row.plural, row.custom) = ("example.com".into(), kind.into(), plural.into(), true);
    row
}

#[test]
fn rows_come_and_go() {
    let table = Table::builtin();
    let before = table.snapshot();
    assert_eq!(table.register(widgets("Widget", "widgets")), Ok(1));
    assert!(table.snapshot().resource("example.com", "v1", "widgets").is_some());
    assert!(before.resource("example.com", "v1", "widgets").is_none(), "a snapshot does not change");
    assert_eq!(table.snapshot().groups().last().expect("groups").name, "example.com");
    assert!(matches!(table.register(widgets("Widget", "gadgets")), Err(RegisterError::KindTaken { .. })));
    assert_eq!(table.register(widgets("Widget", "widgets")), Ok(2), "replacing is no conflict");
    let mut pods = widgets("Pod", "pods");
    pods.group = "".into();
    assert!(matches!(table.register(pods), Err(RegisterError::BuiltIn { .. })));
    assert!(!table.unregister("", "pods"));
    assert!(table.unregister("example.com", "widgets"));
    assert!(!table.unregister("example.com", "widgets"));
    assert_eq!((table.epoch(), table.snapshot().rows().count()), (3, 76));
}

#[test]
fn rows_agree_with_upstreams_list() {
    let Some(text) = reference("api-resources-1.36.tsv") else { return };
    let snapshot = Table::builtin().snapshot();
    for line in text.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (group, version, plural, kind, namespaced, verbs, subresources) =
            (next(), next(), next(), next(), next(), next(), next());
        let group = if group == "core" { "" } else { group };
        let served = snapshot.resource(group, version, plural).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((&*served.resource.kind, served.resource.is_namespaced()), (kind, namespaced == "true"), "{line}");
        assert_eq!(names(served.resource.verbs), verbs, "{line}");
        let theirs: BTreeSet<&str> = subresources
            .split("; ")
            .filter_map(|s| s.split('[').next())
            .filter(|s| !s.is_empty() && !s.contains('/'))
            .collect();
        let ours: BTreeSet<&str> = served.resource.subresources.iter().map(|s| &*s.name).collect();
        assert_eq!(ours, theirs, "{line}");
    }
}

fn names(verbs: Verbs) -> String {
    verbs.iter().map(Verb::as_str).collect::<Vec<_>>().join(" ")
}

fn reference(file: &str) -> Option<String> {
    let data = std::env::var_os("CORACLE_REFERENCE_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    let path = data.join(file);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: no {}", path.display());
    }
    text
}
