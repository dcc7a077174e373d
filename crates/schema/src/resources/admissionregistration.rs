//! Admission webhooks and policies.

use super::builder::{Row, cluster, group};
use crate::convert::Conversion;

pub(super) fn rows() -> Vec<Row> {
    group(
        "admissionregistration.k8s.io",
        [
            cluster("MutatingAdmissionPolicy", "mutatingadmissionpolicies")
                .versions(&["v1", "v1beta1", "v1alpha1"])
                .category("api-extensions")
                .conversion(Conversion::Rename),
            cluster("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")
                .versions(&["v1", "v1beta1", "v1alpha1"])
                .category("api-extensions")
                .conversion(Conversion::Rename),
            cluster("MutatingWebhookConfiguration", "mutatingwebhookconfigurations").category("api-extensions"),
            cluster("ValidatingAdmissionPolicy", "validatingadmissionpolicies").category("api-extensions").status(),
            cluster("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings").category("api-extensions"),
            cluster("ValidatingWebhookConfiguration", "validatingwebhookconfigurations").category("api-extensions"),
        ],
    )
}
