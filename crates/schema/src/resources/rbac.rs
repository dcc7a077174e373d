//! Roles and their bindings.

use super::builder::{Row, cluster, group, namespaced};

pub(super) fn rows() -> Vec<Row> {
    group(
        "rbac.authorization.k8s.io",
        [
            cluster("ClusterRoleBinding", "clusterrolebindings"),
            cluster("ClusterRole", "clusterroles"),
            namespaced("RoleBinding", "rolebindings"),
            namespaced("Role", "roles"),
        ],
    )
}
