//! Dynamic resource allocation.

use super::builder::{Row, cluster, group, namespaced};
use crate::convert::{self, Conversion};

pub(super) fn rows() -> Vec<Row> {
    group(
        "resource.k8s.io",
        [
            cluster("DeviceClass", "deviceclasses")
                .versions(&["v1", "v1beta2", "v1beta1"])
                .conversion(Conversion::Rename),
            cluster("DeviceTaintRule", "devicetaintrules")
                .versions(&["v1beta2", "v1alpha3"])
                .status()
                .conversion(Conversion::Rename),
            namespaced("ResourceClaim", "resourceclaims")
                .versions(&["v1", "v1beta2", "v1beta1"])
                .status()
                .conversion(Conversion::Function(convert::resource::claim)),
            namespaced("ResourceClaimTemplate", "resourceclaimtemplates")
                .versions(&["v1", "v1beta2", "v1beta1"])
                .conversion(Conversion::Function(convert::resource::claim_template)),
            cluster("ResourcePoolStatusRequest", "resourcepoolstatusrequests").versions(&["v1alpha3"]).status(),
            cluster("ResourceSlice", "resourceslices")
                .versions(&["v1", "v1beta2", "v1beta1"])
                .fields(&["spec.nodeName", "spec.driver"])
                .conversion(Conversion::Function(convert::resource::slice)),
        ],
    )
}
