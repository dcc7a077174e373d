//! Discovery documents: what the server serves, in the legacy and the aggregated form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::resource::{Resource, Served, Subresource, Text, Verbs};
use crate::table::{Group, Snapshot};

/// How much of the digest a storage version hash shows, in bytes.
const HASH_LENGTH: usize = 8;

/// `/api`: `server` is the `address:port` under which clients reach this server.
#[must_use]
pub fn api_versions(snapshot: &Snapshot, server: &str) -> Value {
    let versions = core(snapshot).map_or(&[][..], |group| &group.versions);
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}],
    })
}

/// `/apis`.
#[must_use]
pub fn group_list(snapshot: &Snapshot) -> Value {
    let groups: Vec<_> = named(snapshot).map(group_document).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`; none when the group is not served.
#[must_use]
pub fn group(snapshot: &Snapshot, name: &str) -> Option<Value> {
    let mut document = named(snapshot).find(|group| group.name == name).map(group_document)?;
    let object = document.as_object_mut()?;
    object.insert("kind".into(), "APIGroup".into());
    object.insert("apiVersion".into(), "v1".into());
    Some(document)
}

/// `/api/v1` and `/apis/<group>/<version>`; none when the version is not served.
#[must_use]
pub fn resource_list(snapshot: &Snapshot, group: &str, version: &str) -> Option<Value> {
    find(snapshot, group)?.versions.iter().find(|v| *v == version)?;
    let resources: Vec<_> = snapshot.served(group, version).flat_map(|served| legacy(&served)).collect();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": object::api_version(group, version),
        "resources": resources,
    }))
}

/// The aggregated form (`apidiscovery.k8s.io/v2`) of `/api` (the core group) or `/apis` (all others).
#[must_use]
pub fn aggregated(snapshot: &Snapshot, of_core: bool) -> Value {
    let groups = snapshot.groups().iter().filter(|group| group.name.is_empty() == of_core);
    let items: Vec<_> = groups.map(|group| aggregated_group(snapshot, group)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// A short digest of the group, version and kind in which objects are stored.
#[must_use]
pub fn storage_version_hash(resource: &Resource) -> String {
    let stored = format!("{}/{}/{}", resource.group, resource.storage_version().name, resource.kind);
    STANDARD.encode(&Sha256::digest(stored)[..HASH_LENGTH])
}

fn core(snapshot: &Snapshot) -> Option<&Group> {
    find(snapshot, "")
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Group> {
    snapshot.groups().iter().find(|group| group.name == name)
}

fn named(snapshot: &Snapshot) -> impl Iterator<Item = &Group> {
    snapshot.groups().iter().filter(|group| !group.name.is_empty())
}

fn group_document(group: &Group) -> Value {
    let version =
        |version: &Text| json!({"groupVersion": object::api_version(&group.name, version), "version": version});
    let versions: Vec<_> = group.versions.iter().map(version).collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions.first()})
}

fn verbs(verbs: Verbs) -> Value {
    verbs.iter().map(|verb| Value::from(verb.as_str())).collect()
}

/// A resource and its subresources as entries of an `APIResourceList`.
fn legacy(served: &Served) -> Vec<Value> {
    let resource = &served.resource;
    let mut entry = Map::new();
    entry.insert("name".into(), resource.plural.as_ref().into());
    entry.insert("singularName".into(), resource.singular.as_ref().into());
    entry.insert("namespaced".into(), resource.is_namespaced().into());
    entry.insert("kind".into(), resource.kind.as_ref().into());
    entry.insert("verbs".into(), verbs(resource.verbs));
    names(&mut entry, resource);
    if resource.is_stored() {
        entry.insert("storageVersionHash".into(), storage_version_hash(resource).into());
    }
    let subresources = resource.subresources.iter().map(|sub| legacy_subresource(resource, sub));
    std::iter::once(Value::Object(entry)).chain(subresources).collect()
}

fn names(entry: &mut Map<String, Value>, resource: &Resource) {
    for (key, texts) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !texts.is_empty() {
            entry.insert(key.into(), texts.iter().map(|t| Value::from(t.as_ref())).collect());
        }
    }
}

fn legacy_subresource(resource: &Resource, sub: &Subresource) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), format!("{}/{}", resource.plural, sub.name).into());
    entry.insert("singularName".into(), "".into());
    entry.insert("namespaced".into(), resource.is_namespaced().into());
    if let Some(body) = sub.body.as_ref().filter(|body| *body.group != *resource.group) {
        entry.insert("group".into(), body.group.as_ref().into());
        entry.insert("version".into(), body.version.as_ref().into());
    }
    let kind = sub.body.as_ref().map_or(&*resource.kind, |body| &*body.kind);
    entry.insert("kind".into(), kind.into());
    entry.insert("verbs".into(), verbs(sub.verbs));
    Value::Object(entry)
}

fn aggregated_group(snapshot: &Snapshot, group: &Group) -> Value {
    let version = |version: &Text| {
        let resources: Vec<_> =
            snapshot.served(&group.name, version).map(|served| aggregated_resource(&served)).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<_> = group.versions.iter().map(version).collect();
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(served: &Served) -> Value {
    let (resource, gvk) = (&served.resource, served.gvk());
    let mut entry = Map::new();
    entry.insert("resource".into(), resource.plural.as_ref().into());
    entry.insert("responseKind".into(), json!({"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind}));
    entry.insert("scope".into(), if resource.is_namespaced() { "Namespaced" } else { "Cluster" }.into());
    entry.insert("singularResource".into(), resource.singular.as_ref().into());
    entry.insert("verbs".into(), verbs(resource.verbs));
    names(&mut entry, resource);
    let subresources: Vec<_> = resource.subresources.iter().map(|sub| aggregated_subresource(served, sub)).collect();
    if !subresources.is_empty() {
        entry.insert("subresources".into(), subresources.into());
    }
    Value::Object(entry)
}

fn aggregated_subresource(served: &Served, sub: &Subresource) -> Value {
    let kind = sub.body.clone().unwrap_or_else(|| served.gvk());
    json!({
        "subresource": sub.name,
        "responseKind": {"group": &*kind.group, "version": &*kind.version, "kind": &*kind.kind},
        "verbs": verbs(sub.verbs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn the_core_group_stands_apart() {
        let snapshot = Table::builtin().snapshot();
        assert_eq!(api_versions(&snapshot, "10.0.0.1:443")["versions"], json!(["v1"]));
        let groups = group_list(&snapshot);
        assert_eq!(groups["groups"][1]["name"], "apps", "{groups}");
        assert!(group(&snapshot, "").is_none());
        assert_eq!(group(&snapshot, "autoscaling").unwrap()["preferredVersion"]["groupVersion"], "autoscaling/v2");
    }

    #[test]
    fn pods_with_their_subresources() {
        let list = resource_list(&Table::builtin().snapshot(), "", "v1").unwrap();
        let entry =
            |name: &str| list["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
        let pods = entry("pods");
        assert_eq!(pods["shortNames"], json!(["po"]));
        assert_eq!(pods["categories"], json!(["all"]));
        assert_eq!(pods["storageVersionHash"], "xPOwRZ+Yhw8=");
        assert_eq!(entry("pods/eviction")["group"], "policy");
        assert_eq!(entry("pods/status")["kind"], "Pod");
        assert!(resource_list(&Table::builtin().snapshot(), "apps", "v1beta1").is_none());
    }

    #[test]
    fn both_forms_name_the_same_resources() {
        let snapshot = Table::builtin().snapshot();
        let count = |document: &Value| -> usize {
            let groups = document["items"].as_array().unwrap().iter();
            groups
                .flat_map(|g| g["versions"].as_array().unwrap())
                .map(|v| v["resources"].as_array().unwrap().len())
                .sum()
        };
        assert_eq!(count(&aggregated(&snapshot, true)) + count(&aggregated(&snapshot, false)), 95);
    }
}
