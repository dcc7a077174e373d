//! OpenAPI v3: an index, and a document for each group and version, made from the table and the facts.

mod paths;
mod schemas;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::table::Snapshot;

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

/// `/openapi/v3`: where the documents are. `digest` names the content of one, by group and version, so that clients may
/// keep it for as long as the name stays.
#[must_use]
pub fn index(snapshot: &Snapshot, digest: impl Fn(&str, &str) -> String) -> Value {
    let entry = |(group, version)| {
        let (path, digest) = (path(group, version), digest(group, version));
        let url = format!("/openapi/v3/{path}?hash={digest}");
        (path, json!({"serverRelativeURL": url}))
    };
    json!({"paths": group_versions(snapshot).map(entry).collect::<Map<_, _>>()})
}

/// The name of a document's content, for the index and as `ETag`.
#[must_use]
pub fn digest(document: &[u8]) -> String {
    Sha256::digest(document).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"))
}

/// `/openapi/v3/<path>`; none when the version is not served. Descriptions are absent.
#[must_use]
pub fn document(snapshot: &Snapshot, group: &str, version: &str) -> Option<Value> {
    group_versions(snapshot).find(|known| *known == (group, version))?;
    let served: Vec<_> = snapshot.served(group, version).collect();
    let schemas = schemas::of(&served);
    let paths: Map<_, _> = served.iter().flat_map(paths::of).collect();
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn deployments() {
        let document = document(&Table::builtin().snapshot(), "apps", "v1").unwrap();
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(
            patch["x-kubernetes-group-version-kind"],
            json!({"group": "apps", "version": "v1", "kind": "Deployment"})
        );
        assert_eq!(patch["x-kubernetes-action"], "patch");
        let names: Vec<_> =
            patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["io.k8s.api.apps.v1.DeploymentSpec"]["required"], json!(["selector", "template"]));
        let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
        assert_eq!(strategy["x-kubernetes-patch-strategy"], "retainKeys");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let snapshot = Table::builtin().snapshot();
        for (group, version) in group_versions(&snapshot) {
            let document = document(&snapshot, group, version).unwrap();
            let text = document.to_string();
            for reference in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(!document["components"]["schemas"][reference].is_null(), "{group}/{version} lacks {reference}");
            }
        }
    }

    #[test]
    fn the_index_leads_to_every_document() {
        let snapshot = Table::builtin().snapshot();
        let index = index(&snapshot, |_, _| "0".into());
        assert_eq!(index["paths"]["apis/apps/v1"]["serverRelativeURL"], "/openapi/v3/apis/apps/v1?hash=0");
        assert_eq!(index["paths"].as_object().unwrap().len(), group_versions(&snapshot).count());
        assert!(document(&snapshot, "apps", "v9").is_none());
    }
}
