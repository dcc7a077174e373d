//! Reviews of identity and access: posted, answered, never stored.

use super::builder::{Row, cluster, group, namespaced};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = group(
        "authentication.k8s.io",
        [
            cluster("SelfSubjectReview", "selfsubjectreviews").create_only(),
            cluster("TokenReview", "tokenreviews").create_only(),
        ],
    );
    rows.extend(group(
        "authorization.k8s.io",
        [
            namespaced("LocalSubjectAccessReview", "localsubjectaccessreviews").create_only(),
            cluster("SelfSubjectAccessReview", "selfsubjectaccessreviews").create_only(),
            cluster("SelfSubjectRulesReview", "selfsubjectrulesreviews").create_only(),
            cluster("SubjectAccessReview", "subjectaccessreviews").create_only(),
        ],
    ));
    rows
}
