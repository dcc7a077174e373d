//! The types that extend the API.

use super::builder::{Row, cluster, group};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = group(
        "apiextensions.k8s.io",
        [cluster("CustomResourceDefinition", "customresourcedefinitions")
            .short(&["crd", "crds"])
            .category("api-extensions")
            .status()],
    );
    rows.extend(group(
        "apiregistration.k8s.io",
        [cluster("APIService", "apiservices").category("api-extensions").status()],
    ));
    rows
}
