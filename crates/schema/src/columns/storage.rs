//! Tables of storage.

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

pub(super) static STORAGE_CLASSES: &[Column] = &[
    Column::text_named("Name", |o, _| read::marked(o, DEFAULT_STORAGE_CLASS).into()),
    Column::path("Provisioner", "provisioner"),
    Column::text("ReclaimPolicy", |o, _| read::text_or(o, "reclaimPolicy", "Delete").into()),
    Column::text("VolumeBindingMode", |o, _| read::text_or(o, "volumeBindingMode", "Immediate").into()),
    Column::text("AllowVolumeExpansion", |o, _| read::boolean(o, "allowVolumeExpansion").into()),
    Column::age(),
];

pub(super) static VOLUME_ATTRIBUTES_CLASSES: &[Column] =
    &[Column::name(), Column::path("DriverName", "driverName"), Column::age()];

pub(super) static VOLUME_ATTACHMENTS: &[Column] = &[
    Column::name(),
    Column::text_named("Attacher", |o, _| read::text(o, "spec.attacher").into()),
    Column::path("PV", "spec.source.persistentVolumeName"),
    Column::path("Node", "spec.nodeName"),
    Column::boolean("Attached", "status.attached"),
    Column::age(),
];

/// Annotations that make a class the default one.
const DEFAULT_STORAGE_CLASS: &[&str] =
    &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
