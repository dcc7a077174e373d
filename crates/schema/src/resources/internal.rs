//! Types by which the API server looks after its own store.

use super::builder::{Row, cluster, group};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = group(
        "internal.apiserver.k8s.io",
        [cluster("StorageVersion", "storageversions").versions(&["v1alpha1"]).status()],
    );
    rows.extend(group(
        "storagemigration.k8s.io",
        [cluster("StorageVersionMigration", "storageversionmigrations").versions(&["v1beta1"]).status()],
    ));
    rows
}
