//! OpenAPI v2 and v3, made from the table and the facts.
//!
//! Both are renderings of one model: [`route`] has what may be asked at which path, [`types`] has the schemas. Descriptions of
//! types and fields come from the `k8s-openapi` crate ([`Texts`]); the rest is our own.

mod beyond;
mod fixed;
mod parameters;
mod proto;
mod resources;
mod route;
mod texts;
mod types;
mod v2;
mod v3;

use std::io;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::table::Snapshot;
use route::Route;
pub use texts::Texts;

/// The path below `/openapi/v3` of a group and version: `api/v1`, `apis/apps/v1`.
#[must_use]
pub fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Every group and version that has a document.
pub fn group_versions(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &str)> {
    snapshot
        .groups()
        .iter()
        .flat_map(|group| group.versions.iter().map(|version| (group.name.as_ref(), version.as_ref())))
}

/// The names of all documents below `/openapi/v3`, in order: `api/v1`, `apis/apps`, `apis/apps/v1`, `version`.
#[must_use]
pub fn documents(snapshot: &Snapshot) -> Vec<String> {
    let groups = snapshot.groups().iter().filter(|group| !group.name.is_empty());
    let mut names: Vec<String> = fixed::NAMES.iter().map(|name| (*name).to_owned()).collect();
    names.extend(groups.map(|group| format!("apis/{}", group.name)));
    names.extend(group_versions(snapshot).map(|(group, version)| path(group, version)));
    names.sort();
    names
}

/// `/openapi/v3`: where the documents are. `digest` names the content of one, so that clients may keep it for as long as the
/// name stays.
#[must_use]
pub fn index(snapshot: &Snapshot, digest: impl Fn(&str) -> String) -> Value {
    let entry = |name: String| {
        let url = format!("/openapi/v3/{name}?hash={}", digest(&name));
        (name, json!({"serverRelativeURL": url}))
    };
    json!({"paths": documents(snapshot).into_iter().map(entry).collect::<Map<_, _>>()})
}

/// The name of a document's content, for the index and as `ETag`.
#[must_use]
pub fn digest(document: &[u8]) -> String {
    Sha256::digest(document).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"))
}

/// `/openapi/v3/<name>`; none when there is no such document.
#[must_use]
pub fn document(snapshot: &Snapshot, name: &str, texts: &Texts) -> Option<Value> {
    Some(v3::document(snapshot, routes(snapshot, name)?, texts))
}

/// `/openapi/v2` in JSON, written part by part: the whole is some megabytes.
///
/// # Errors
/// Only those of `out`.
pub fn write_v2(snapshot: &Snapshot, texts: &Texts, out: impl io::Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &v2::Document::new(snapshot, all(snapshot), texts))?)
}

/// `/openapi/v2` in protobuf: gnostic's `openapi.v2.Document`.
#[must_use]
pub fn v2_protobuf(snapshot: &Snapshot, texts: &Texts) -> Vec<u8> {
    proto::encode(&v2::Document::new(snapshot, all(snapshot), texts))
}

/// The routes of one document.
fn routes(snapshot: &Snapshot, name: &str) -> Option<Vec<Route>> {
    let known = |group: &str, version: &str| group_versions(snapshot).any(|found| found == (group, version));
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["api", version] if known("", version) => Some(version_routes(snapshot, "", version)),
        ["apis", group, version] if known(group, version) => Some(version_routes(snapshot, group, version)),
        ["apis", group] => snapshot.groups().iter().any(|g| g.name == *group).then(|| vec![fixed::group(group)]),
        _ => fixed::named(name).map(|route| vec![route]),
    }
}

fn version_routes(snapshot: &Snapshot, group: &str, version: &str) -> Vec<Route> {
    let served = snapshot.served(group, version);
    let mut routes: Vec<Route> = served.flat_map(|served| resources::routes(&served)).collect();
    routes.push(fixed::resources(group, version));
    routes.sort_by(|a, b| a.path.cmp(&b.path));
    routes
}

/// The routes of all documents, by path.
fn all(snapshot: &Snapshot) -> Vec<Route> {
    let mut routes: Vec<Route> =
        documents(snapshot).iter().filter_map(|name| routes(snapshot, name)).flatten().collect();
    routes.sort_by(|a, b| a.path.cmp(&b.path));
    routes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn every_reference_leads_somewhere() {
        let snapshot = Table::builtin().snapshot();
        for name in documents(&snapshot) {
            let document = document(&snapshot, &name, &Texts::read()).unwrap();
            let text = document.to_string();
            for reference in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(!document["components"]["schemas"][reference].is_null(), "{name} lacks {reference}");
            }
        }
    }

    #[test]
    fn every_reference_of_v2_leads_somewhere() {
        let mut json = Vec::new();
        write_v2(&Table::builtin().snapshot(), &Texts::read(), &mut json).unwrap();
        let text = String::from_utf8(json).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("\"#/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let (section, name) = reference.split_once('/').unwrap();
            assert!(!document[section][name].is_null(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn the_index_leads_to_every_document() {
        let snapshot = Table::builtin().snapshot();
        let index = index(&snapshot, |_| "0".into());
        assert_eq!(index["paths"]["apis/apps/v1"]["serverRelativeURL"], "/openapi/v3/apis/apps/v1?hash=0");
        assert!(index["paths"]["version"].is_object());
        for name in ["apis/apps/v9", "apis/none", "none", "api", "apis/apps/v1/x", ""] {
            assert_eq!(document(&snapshot, name, &Texts::read()).is_some(), name == "api", "{name}");
        }
    }
}
