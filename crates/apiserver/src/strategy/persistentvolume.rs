//! PersistentVolumes: where their bytes are does not change.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

use super::claim::{CLASS_ANNOTATION, VOLUME_MODES, access_modes};
use super::field::{At, immutable, optional_name, remove, required, required_name, well_formed};
use super::pod::{scheduling, warnings};
use super::rules::{Rule, Rules};
use super::source::{self, Source};
use super::{Context, Strategy, difference, structs};

pub(super) struct PersistentVolume;

const RECLAIM: &[&str] = &["Delete", "Recycle", "Retain"];
const OPTIONS_ANNOTATION: &str = "volume.beta.kubernetes.io/mount-options";
const WITH_MOUNT_OPTIONS: &[&str] = &[
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];
const DEPRECATED_ANNOTATIONS: &[(&str, &str)] = &[
    (CLASS_ANNOTATION, "deprecated since v1.8; use \"storageClassName\" attribute instead"),
    (OPTIONS_ANNOTATION, "deprecated since v1.31; use \"mountOptions\" attribute instead"),
];
/// Of the deprecated volumes, those that upstream tells of here, in its order.
const DEPRECATED: &[&str] = &["cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd"];

/// Every source that a PersistentVolume can have, in upstream's order.
const SOURCES: &[Source] = &[
    Source::new("hostPath", source::HOST_PATH),
    Source::new("gcePersistentDisk", source::GCE_DISK).shown("persistentDisk"),
    Source::new("awsElasticBlockStore", source::AWS_DISK),
    Source::new("glusterfs", GLUSTERFS),
    Source::new("flocker", &[("", Rule::Holds(source::flocker))]),
    Source::new("nfs", source::NFS),
    Source::new("rbd", source::RBD),
    Source::new("quobyte", &[("", Rule::Holds(source::quobyte))]),
    Source::new("cephfs", source::CEPHFS).refused("cephFS"),
    Source::new("iscsi", &[]),
    Source::new("cinder", CINDER),
    Source::new("fc", &[("", Rule::Holds(source::fibre_channel))]),
    Source::new("flexVolume", source::FLEX).refused(""),
    Source::new("azureFile", AZURE_FILE),
    Source::new("vsphereVolume", &[("volumePath", Rule::Required)]),
    Source::new("photonPersistentDisk", &[("pdID", Rule::Required)]),
    Source::new("portworxVolume", &[("volumeID", Rule::Required)]),
    Source::new("azureDisk", &[("", Rule::Holds(source::azure_disk))]),
    Source::new("scaleIO", source::SCALE_IO),
    Source::new("local", source::LOCAL),
    Source::new("storageos", STORAGE_OS),
    Source::new("csi", CSI),
];

const GLUSTERFS: Rules = &[
    ("endpoints", Rule::Required),
    ("path", Rule::Required),
    ("endpointsNamespace", Rule::Holds(endpoints_namespace)),
];
const CINDER: Rules =
    &[("volumeID", Rule::Required), ("secretRef.name", Rule::Required), ("secretRef.namespace", Rule::Required)];
const AZURE_FILE: Rules =
    &[("secretName", Rule::Required), ("shareName", Rule::Required), ("secretNamespace", Rule::Holds(not_empty))];
const STORAGE_OS: Rules = &[
    ("volumeName", Rule::Name(names::dns1123_label)),
    ("volumeNamespace", Rule::OptionalName(names::dns1123_label)),
    ("secretRef.name", Rule::Required),
    ("secretRef.namespace", Rule::Required),
];
const CSI: Rules = &[
    ("driver", Rule::Holds(source::csi_driver)),
    ("volumeHandle", Rule::Required),
    ("controllerPublishSecretRef", Rule::Holds(secret)),
    ("controllerExpandSecretRef", Rule::Holds(secret)),
    ("nodePublishSecretRef", Rule::Holds(secret)),
    ("nodeExpandSecretRef", Rule::Holds(secret)),
];

impl Strategy for PersistentVolume {
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        object["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": object::time::seconds(cx.now)});
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            phase_time(object, &old["status"], &object::time::seconds(cx.now));
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object), false, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            return errors;
        }
        let mut values = ErrorList::new();
        scheduling::node_selector(&At::root(&old["spec"]["nodeAffinity"]["required"]), false, &mut values);
        let any_values = values.iter().any(|error| error.field.contains("values["));
        spec(&At::root(object), any_values, &mut errors);
        update(object, old, &mut errors);
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        if cx.subresource.is_empty() { all_warnings(object) } else { Vec::new() }
    }

    fn returns_deleted(&self) -> bool {
        true
    }
}

/// The time of the last change of phase, for writers that do not give it.
fn phase_time(object: &mut Value, before: &Value, now: &str) {
    const TIME: &str = "lastPhaseTransitionTime";
    let Some(status) = object.get_mut("status").filter(|status| status.is_object()) else { return };
    let same = status["phase"] == before["phase"];
    let (given, was) = (status[TIME].clone(), &before[TIME]);
    if same && given.is_null() && !was.is_null() {
        status[TIME] = was.clone();
    } else if !same && (given.is_null() || given == *was) {
        status[TIME] = now.into();
    }
    if status[TIME].is_null() {
        remove(status, TIME);
    }
}

fn spec(object: &At<'_>, any_values: bool, errors: &mut ErrorList) {
    let spec = object.at("spec");
    let (modes, reclaim, affinity) =
        (spec.at("accessModes"), spec.at("persistentVolumeReclaimPolicy"), spec.at("nodeAffinity"));
    required(&modes, errors);
    access_modes(&modes, errors);
    capacity(&spec.at("capacity"), errors);
    if !reclaim.is_empty() && !RECLAIM.contains(&reclaim.text()) {
        errors.push(reclaim.unsupported(RECLAIM));
    }
    if affinity.is_set() && affinity.at("required").is_set() {
        scheduling::node_selector(&affinity.at("required"), any_values, errors);
    } else if affinity.is_set() {
        errors.push(affinity.at("required").required("must specify required node constraints"));
    }
    source::one_of(&spec, SOURCES, errors, |kind, source, errors| match kind {
        "iscsi" => source::persistent_iscsi(source, object::meta::name(object.value), errors),
        "local" if !affinity.is_set() => errors.push(affinity.required("Local volume requires node affinity")),
        _ => {}
    });
    if reclaim.text() == "Recycle" && is_root(spec.at("hostPath").at("path").text()) {
        errors.push(reclaim.forbidden("may not be 'recycle' for a hostPath mount of '/'"));
    }
    optional_name(&spec.at("storageClassName"), names::dns1123_subdomain, errors);
    let mode = spec.at("volumeMode");
    if mode.is_set() && !VOLUME_MODES.contains(&mode.text()) {
        errors.push(mode.unsupported(VOLUME_MODES));
    }
    attributes(&spec, errors);
    mount_options(object, errors);
}

/// A volume that stands in an attachment instead of an object of its own: of CSI, with little else.
pub(super) fn inline(spec: &At<'_>, errors: &mut ErrorList) {
    const CONTEXT: &str = "in the context of inline volumes";
    let unwanted = || format!("may not be specified {CONTEXT}");
    let refuse = |field: &str, errors: &mut ErrorList| {
        if !spec.at(field).is_empty() {
            errors.push(spec.at(field).forbidden(unwanted()));
        }
    };
    refuse("claimRef", errors);
    refuse("capacity", errors);
    if !spec.at("csi").is_set() {
        errors.push(spec.at("csi").required(&format!("has to be specified {CONTEXT}")));
    }
    let (modes, reclaim, mode) =
        (spec.at("accessModes"), spec.at("persistentVolumeReclaimPolicy"), spec.at("volumeMode"));
    required(&modes, errors);
    access_modes(&modes, errors);
    if !reclaim.is_empty() && reclaim.text() != "Retain" {
        errors.push(reclaim.forbidden(format!("may only be Retain {CONTEXT}")));
    }
    if spec.at("nodeAffinity").is_set() {
        errors.push(spec.at("nodeAffinity").forbidden(unwanted()));
    }
    source::one_of(spec, SOURCES, errors, |_, _, _| {});
    refuse("storageClassName", errors);
    if mode.is_set() && mode.text() != "Filesystem" {
        errors.push(mode.forbidden(format!("may not specify volumeMode other than Filesystem {CONTEXT}")));
    }
    attributes(spec, errors);
}

/// The annotation is as old as the sources that it can go with.
fn mount_options(object: &At<'_>, errors: &mut ErrorList) {
    let annotations = object.at("metadata").at("annotations");
    let mounted = object.at("spec").present(WITH_MOUNT_OPTIONS).next().is_some();
    if !mounted && !annotations.value[OPTIONS_ANNOTATION].is_null() {
        let path = annotations.path.child(OPTIONS_ANNOTATION);
        errors.push(Error::forbidden(&path, "may not specify mount options for this volume type"));
    }
}

fn capacity(list: &At<'_>, errors: &mut ErrorList) {
    if list.is_empty() {
        errors.push(list.required(""));
    }
    if !list.at("storage").is_set() || list.entries().count() > 1 {
        let shown = if list.is_set() { list.value.clone() } else { Value::Null };
        errors.push(Error::not_supported(&list.path, shown, &["storage"]));
    }
    for (_, at) in list.entries() {
        let Some(quantity) = at.quantity() else { continue };
        if quantity.value() < 0 {
            errors.push(Error::invalid(&at.path, quantity.value(), "must be a valid resource quantity"));
        }
        if quantity.is_negative() || quantity.is_zero() {
            errors.push(Error::invalid(&at.path, quantity.to_string(), "must be greater than zero"));
        }
    }
}

fn attributes(spec: &At<'_>, errors: &mut ErrorList) {
    let class = spec.at("volumeAttributesClassName");
    if !class.is_set() {
        return;
    }
    if class.is_empty() {
        errors.push(class.required("an empty string is disallowed"));
    } else {
        well_formed(&class, names::dns1123_subdomain, errors);
    }
    if !spec.at("csi").is_set() {
        errors.push(spec.at("csi").required("has to be specified when using volumeAttributesClassName"));
    }
}

/// Whether a path is `/`, however it is written.
fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}

fn endpoints_namespace(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() && at.is_empty() {
        errors.push(at.invalid("if the endpointnamespace is set, it must be a valid namespace name"));
    } else if at.is_set() {
        well_formed(at, names::dns1123_label, errors);
    }
}

fn not_empty(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() && at.is_empty() {
        errors.push(at.required(""));
    }
}

fn secret(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() {
        required_name(&at.at("name"), names::dns1123_subdomain, errors);
        required_name(&at.at("namespace"), names::dns1123_label, errors);
    }
}

fn update(object: &Value, old: &Value, errors: &mut ErrorList) {
    let (spec, before) = (At::root(object).at("spec"), &old["spec"]);
    let mut now = spec.value.clone();
    if before["csi"].is_object() && before["csi"]["controllerExpandSecretRef"].is_null() && now["csi"].is_object() {
        remove(&mut now["csi"], "controllerExpandSecretRef");
    }
    let [was, is] = [before, &now].map(|spec| structs::pretty("PersistentVolumeSource", spec));
    if was != is {
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{}", difference::of(&was, &is));
        errors.push(Error::forbidden(&Path::new("spec.persistentvolumesource"), detail));
    }
    immutable(&spec.at("volumeMode").shown(Path::new("volumeMode")), &before["volumeMode"], errors);
    let affinity = spec.at("nodeAffinity");
    if !before["nodeAffinity"].is_null() && with_new_labels(&before["nodeAffinity"], affinity.value) != *affinity.value
    {
        let shown = if affinity.is_set() { structs::value("VolumeNodeAffinity", affinity.value) } else { Value::Null };
        let detail = "field is immutable, except for updating from beta label to GA";
        errors.push(Error::invalid(&Path::new("nodeAffinity"), shown, detail));
    }
    let class = spec.at("volumeAttributesClassName");
    if !class.is_set() && !before["volumeAttributesClassName"].is_null() {
        errors.push(class.forbidden("update from non-nil value to nil is forbidden"));
    }
}

/// The old affinity with those labels renamed that the new one has under their new names.
fn with_new_labels(old: &Value, new: &Value) -> Value {
    const RENAMED: &[(&str, &str)] = &[
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ];
    match (old, new) {
        (Value::Object(fields), Value::Object(others)) => {
            let of = |(name, value): (&String, &Value)| {
                let other = others.get(name).unwrap_or(&Value::Null);
                (name.clone(), with_new_labels(value, other))
            };
            fields.iter().map(of).collect()
        }
        (Value::Array(items), Value::Array(others)) => {
            let others = others.iter().chain(std::iter::repeat(&Value::Null));
            items.iter().zip(others).map(|(item, other)| with_new_labels(item, other)).collect()
        }
        (Value::String(was), Value::String(is)) if RENAMED.iter().any(|(a, b)| a == was && b == is) => new.clone(),
        _ => old.clone(),
    }
}

fn all_warnings(object: &Value) -> Vec<String> {
    let root = At::root(object);
    let (annotations, spec) = (root.at("metadata").at("annotations"), root.at("spec"));
    let old = DEPRECATED_ANNOTATIONS.iter().filter(|(key, _)| !annotations.value[*key].is_null());
    let mut all: Vec<_> = old.map(|(key, hint)| format!("{}: {hint}", annotations.path.key(key))).collect();
    let reclaim = spec.at("persistentVolumeReclaimPolicy");
    if reclaim.text() == "Recycle" {
        let hint = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.";
        all.push(format!("{}: {hint}", reclaim.path));
    }
    for term in spec.at("nodeAffinity").at("required").at("nodeSelectorTerms").items() {
        warnings::node_term(&term, false, &mut all);
    }
    for kind in DEPRECATED.iter().filter(|kind| spec.at(kind).is_set()) {
        let known = warnings::DEPRECATED_VOLUMES.iter().find(|(field, ..)| field == kind);
        all.extend(known.map(|(_, shown, message)| format!("{}: {message}", spec.path.child(shown))));
    }
    all
}
