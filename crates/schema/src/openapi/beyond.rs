//! What OpenAPI says and the facts do not, because nothing else needs it.

use serde_json::{Value, json};

use crate::facts::{Field, Shape};

/// Zero values of printed fields that are absent, and the defaults of upstream's types that are part of the schema: type,
/// field, JSON. Types of all versions of a group are named by their last part.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("AzureDiskVolumeSource", "cachingMode", "\"ReadWrite\""),
    ("AzureDiskVolumeSource", "fsType", "\"ext4\""),
    ("AzureDiskVolumeSource", "kind", "\"Shared\""),
    ("AzureDiskVolumeSource", "readOnly", "false"),
    ("ContainerPort", "protocol", "\"TCP\""),
    ("DeviceToleration", "operator", "\"Equal\""),
    ("FileKeySelector", "optional", "false"),
    ("GRPCAction", "service", "\"\""),
    ("ISCSIPersistentVolumeSource", "iscsiInterface", "\"default\""),
    ("ISCSIVolumeSource", "iscsiInterface", "\"default\""),
    ("PodCertificateRequestSpec", "maxExpirationSeconds", "86400"),
    ("RBDPersistentVolumeSource", "keyring", "\"/etc/ceph/keyring\""),
    ("RBDPersistentVolumeSource", "pool", "\"rbd\""),
    ("RBDPersistentVolumeSource", "user", "\"admin\""),
    ("RBDVolumeSource", "keyring", "\"/etc/ceph/keyring\""),
    ("RBDVolumeSource", "pool", "\"rbd\""),
    ("RBDVolumeSource", "user", "\"admin\""),
    ("ReplicationControllerSpec", "minReadySeconds", "0"),
    ("ReplicationControllerSpec", "replicas", "1"),
    ("ScaleIOPersistentVolumeSource", "fsType", "\"xfs\""),
    ("ScaleIOPersistentVolumeSource", "storageMode", "\"ThinProvisioned\""),
    ("ScaleIOVolumeSource", "fsType", "\"xfs\""),
    ("ScaleIOVolumeSource", "storageMode", "\"ThinProvisioned\""),
    ("ScaleSpec", "replicas", "0"),
    ("ServicePort", "protocol", "\"TCP\""),
];

/// Types whose field names another object, which may be empty: its default is `""`.
const NAMES: &[&str] = &[
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "LocalObjectReference",
    "SecretEnvSource",
    "SecretKeySelector",
    "SecretProjection",
];

/// The `default` of a field; none when it has none.
pub(super) fn default(ty: &str, field: &Field) -> Option<Value> {
    let last = ty.rsplit('.').next().unwrap_or(ty);
    let explicit = DEFAULTS.iter().find(|(name, key, _)| *name == last && **key == *field.name);
    if let Some((.., json)) = explicit {
        return serde_json::from_str(json).ok();
    }
    if &*field.name == "name" && NAMES.contains(&last) {
        return Some("".into());
    }
    if field.presence.has_zero() { zero(&field.shape) } else { None }
}

/// The zero value of a shape; none for those that have no Go value to begin with.
pub(super) fn zero(shape: &Shape) -> Option<Value> {
    match shape {
        Shape::String => Some("".into()),
        Shape::Bool => Some(false.into()),
        Shape::Int32 | Shape::Int64 => Some(0.into()),
        Shape::Object(_) => Some(json!({})),
        _ => None,
    }
}

/// The definition of a field that may be any JSON.
pub(super) fn any(ty: &str, field: &str) -> &'static str {
    match (ty, field) {
        ("meta.v1.ManagedFieldsEntry", _) => "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        ("apiextensions.v1.JSONSchemaProps", "items") => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray"
        }
        ("apiextensions.v1.JSONSchemaProps", "dependencies") => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray"
        }
        ("apiextensions.v1.JSONSchemaProps", "additionalItems" | "additionalProperties") => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool"
        }
        ("apiextensions.v1.JSONSchemaProps", _) => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        _ => "io.k8s.apimachinery.pkg.runtime.RawExtension",
    }
}

/// Lists without a list type: those of lists of objects, and one other.
pub(super) fn is_untyped(ty: &str, field: &Field) -> bool {
    let of_list = &*field.name == "items" && ty.ends_with("List");
    of_list || (ty == "meta.v1.APIResource" && &*field.name == "verbs")
}

/// Values that are no lists in JSON and yet have a list type.
pub(super) fn list_type(ty: &str, field: &str) -> Option<&'static str> {
    (ty == "apiregistration.v1.APIServiceSpec" && field == "caBundle").then_some("atomic")
}

/// Maps that say that they are merged, which is what all do.
pub(super) fn map_type(ty: &str, field: &str) -> Option<&'static str> {
    let granular = matches!(
        (ty, field),
        ("core.v1.PersistentVolumeClaimStatus", "allocatedResourceStatuses")
            | ("core.v1.PersistentVolumeSpec", "claimRef")
    );
    granular.then_some("granular")
}

/// A type of which one field says which other one counts: type, that field, the others as JSON names and their words.
type Union = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
const UNIONS: &[Union] = &[
    ("core.v1.AppArmorProfile", "type", &[("localhostProfile", "LocalhostProfile")]),
    ("core.v1.PodSchedulingGroup", "", &[("podGroupName", "PodGroupName")]),
    ("core.v1.SeccompProfile", "type", &[("localhostProfile", "LocalhostProfile")]),
    ("flowcontrol.v1.LimitResponse", "type", &[("queuing", "Queuing")]),
    ("flowcontrol.v1.PriorityLevelConfigurationSpec", "type", &[("exempt", "Exempt"), ("limited", "Limited")]),
    ("flowcontrol.v1.Subject", "kind", &[("group", "Group"), ("serviceAccount", "ServiceAccount"), ("user", "User")]),
    ("scheduling.v1alpha2.PodGroupSchedulingPolicy", "", &[("basic", "Basic"), ("gang", "Gang")]),
    ("scheduling.v1alpha2.PodGroupTemplateReference", "", &[("workload", "Workload")]),
];

/// A patch strategy that says what would happen anyway.
pub(super) fn patch_strategy(ty: &str, field: &str) -> Option<&'static str> {
    (ty == "policy.v1.PodDisruptionBudgetSpec" && field == "selector").then_some("replace")
}

/// Descriptions of fields where the crate has types of its own.
pub(super) fn text(ty: &str, field: &str) -> Option<&'static str> {
    let object = ty == "meta.v1.WatchEvent" && field == "object";
    object.then_some(
        "The object after the change, or before its deletion; of a BOOKMARK only the revision; of an ERROR a Status.",
    )
}

pub(super) fn unions(ty: &str) -> Option<Value> {
    let (_, discriminator, fields) = UNIONS.iter().find(|(name, ..)| *name == ty)?;
    let fields: serde_json::Map<String, Value> =
        fields.iter().map(|(field, word)| ((*field).to_owned(), (*word).into())).collect();
    Some(match *discriminator {
        "" => json!([{"fields-to-discriminateBy": fields}]),
        field => json!([{"discriminator": field, "fields-to-discriminateBy": fields}]),
    })
}
