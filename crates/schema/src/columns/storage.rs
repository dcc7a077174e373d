//! Tables of storage.

use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static CSI_DRIVERS: &[Column] = &[
    Column::name(),
    Column::boolean("AttachRequired", "spec.attachRequired"),
    Column::boolean("PodInfoOnMount", "spec.podInfoOnMount"),
    Column::boolean("StorageCapacity", "spec.storageCapacity"),
    Column::text("TokenRequests", |o, _| match read::members(o, "spec.tokenRequests", "audience") {
        audiences if audiences.is_empty() => "<unset>".into(),
        audiences => audiences.into(),
    }),
    Column::boolean("RequiresRepublish", "spec.requiresRepublish"),
    Column::text("Modes", |o, _| match read::joined(o, "spec.volumeLifecycleModes", ",") {
        modes if modes.is_empty() => NONE.into(),
        modes => modes.into(),
    }),
    Column::age(),
];

pub(super) static CSI_NODES: &[Column] =
    &[Column::name(), Column::count("Drivers", |o, _| read::length(o, "spec.drivers").into()), Column::age()];

pub(super) static CSI_STORAGE_CAPACITIES: &[Column] = &[
    Column::name(),
    Column::path("StorageClassName", "storageClassName"),
    Column::text("Capacity", |o, _| read::text_or(o, "capacity", "<unset>").into()),
];

pub(super) static STORAGE_CLASSES: &[Column] = &[
    Column::text_named("Name", |o, _| named(o, "storageclass").into()),
    Column::path("Provisioner", "provisioner"),
    Column::text("ReclaimPolicy", |o, _| read::text_or(o, "reclaimPolicy", "Delete").into()),
    Column::text("VolumeBindingMode", |o, _| read::text_or(o, "volumeBindingMode", "Immediate").into()),
    Column::text("AllowVolumeExpansion", |o, _| read::boolean(o, "allowVolumeExpansion").into()),
    Column::age(),
];

pub(super) static VOLUME_ATTRIBUTES_CLASSES: &[Column] = &[
    Column::text_named("Name", |o, _| named(o, "volumeattributesclass").into()),
    Column::path("DriverName", "driverName"),
    Column::age(),
];

pub(super) static VOLUME_ATTACHMENTS: &[Column] = &[
    Column::name(),
    Column::path("Attacher", "spec.attacher"),
    Column::path("PV", "spec.source.persistentVolumeName"),
    Column::path("Node", "spec.nodeName"),
    Column::boolean("Attached", "status.attached"),
    Column::age(),
];

/// The name, marked when the class is the default one.
fn named(class: &Value, resource: &str) -> String {
    let annotation = format!("{resource}.kubernetes.io/is-default-class");
    let default = object::meta::annotation(class, &annotation) == Some("true");
    format!("{}{}", object::meta::name(class), if default { " (default)" } else { "" })
}
