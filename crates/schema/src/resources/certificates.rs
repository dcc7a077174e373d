//! Certificates and trust.

use super::builder::{Row, cluster, group, namespaced};
use crate::convert::Conversion;

pub(super) fn rows() -> Vec<Row> {
    group(
        "certificates.k8s.io",
        [
            cluster("CertificateSigningRequest", "certificatesigningrequests")
                .short(&["csr"])
                .status()
                .view("approval")
                .fields(&["spec.signerName"]),
            cluster("ClusterTrustBundle", "clustertrustbundles")
                .versions(&["v1beta1", "v1alpha1"])
                .fields(&["spec.signerName"])
                .conversion(Conversion::Rename),
            namespaced("PodCertificateRequest", "podcertificaterequests").versions(&["v1beta1"]).status().fields(&[
                "spec.signerName",
                "spec.podName",
                "spec.nodeName",
            ]),
        ],
    )
}
