//! Leases.

use super::builder::{Row, group, namespaced};
use crate::convert::Conversion;

pub(super) fn rows() -> Vec<Row> {
    group(
        "coordination.k8s.io",
        [
            namespaced("LeaseCandidate", "leasecandidates")
                .versions(&["v1beta1", "v1alpha2"])
                .conversion(Conversion::Rename),
            namespaced("Lease", "leases"),
        ],
    )
}
