//! Storage classes and CSI.

use super::builder::{Row, cluster, group, namespaced};
use crate::convert::Conversion;

pub(super) fn rows() -> Vec<Row> {
    group(
        "storage.k8s.io",
        [
            cluster("CSIDriver", "csidrivers"),
            cluster("CSINode", "csinodes"),
            namespaced("CSIStorageCapacity", "csistoragecapacities"),
            cluster("StorageClass", "storageclasses").short(&["sc"]),
            cluster("VolumeAttachment", "volumeattachments").status(),
            cluster("VolumeAttributesClass", "volumeattributesclasses")
                .versions(&["v1", "v1beta1"])
                .short(&["vac"])
                .conversion(Conversion::Rename),
        ],
    )
}
