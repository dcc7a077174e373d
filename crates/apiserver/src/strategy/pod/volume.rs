//! Volumes and where containers mount them.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, descending, no_backsteps, optional_one_of, required, required_name};
use super::{env, resources};

/// Every source that a volume can have, in the order in which upstream looks at them.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "azureDisk",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

/// Fields that must be there, by source.
const REQUIRED: &[(&str, &[&str])] = &[
    ("hostPath", &["path"]),
    ("gitRepo", &["repository"]),
    ("secret", &["secretName"]),
    ("configMap", &["name"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("csi", &["driver"]),
    ("rbd", &["monitors", "image"]),
    ("cephfs", &["monitors"]),
    ("ephemeral", &["volumeClaimTemplate"]),
];

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Fields of a pod that a file may show.
const POD_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Checks volumes and returns their names.
pub(super) fn validate<'a>(at: &At<'a>, errors: &mut ErrorList) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for volume in at.items() {
        source(&volume, errors);
        let name = volume.at("name");
        required_name(&name, names::dns1123_label, errors);
        if !name.is_empty() && !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
    seen
}

/// Checks a container's mounts against the pod's volumes.
pub(super) fn validate_mounts(container: &At<'_>, volumes: &BTreeSet<&str>, errors: &mut ErrorList) {
    let mut paths = BTreeSet::new();
    for mount in container.at("volumeMounts").items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        if required(&name, errors) && !volumes.contains(name.text()) {
            errors.push(Error::not_found(&name.path, name.value.clone()));
        }
        if required(&path, errors) && !paths.insert(path.text()) {
            errors.push(path.invalid("must be unique"));
        }
        let (sub, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
        descending(&sub, errors);
        descending(&expression, errors);
        if !sub.is_empty() && !expression.is_empty() {
            errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
        }
        propagation(container, &mount, errors);
    }
    for device in container.at("volumeDevices").items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        if required(&name, errors) && !volumes.contains(name.text()) {
            errors.push(Error::not_found(&name.path, name.value.clone()));
        }
        if required(&path, errors) && !paths.insert(path.text()) {
            errors.push(path.invalid("must be unique"));
        }
        no_backsteps(&path, errors);
    }
}

fn propagation(container: &At<'_>, mount: &At<'_>, errors: &mut ErrorList) {
    let mode = mount.at("mountPropagation");
    optional_one_of(&mode, &["Bidirectional", "HostToContainer", "None"], errors);
    if mode.text() == "Bidirectional" && !container.at("securityContext").at("privileged").flag() {
        errors.push(mode.forbidden("Bidirectional mount propagation is available only to privileged containers"));
    }
}

/// Exactly one source, and a sound one.
fn source(volume: &At<'_>, errors: &mut ErrorList) {
    let mut present = volume.present(SOURCES);
    let Some(kind) = present.next() else {
        errors.push(volume.required("must specify a volume type"));
        return;
    };
    let source = volume.at(kind);
    for field in REQUIRED.iter().find(|(k, _)| *k == kind).map_or(&[][..], |(_, fields)| *fields) {
        required(&source.at(field), errors);
    }
    match kind {
        "hostPath" => {
            no_backsteps(&source.at("path"), errors);
            optional_one_of(&source.at("type"), HOST_PATH_TYPES, errors);
        }
        "emptyDir" => size_limit(&source, errors),
        "secret" | "configMap" => files(&source, errors),
        "downwardAPI" => {
            mode(&source.at("defaultMode"), errors);
            downward_files(&source, errors);
        }
        "projected" => projected(&source, errors),
        "nfs" if !source.at("path").text().starts_with('/') && !source.at("path").is_empty() => {
            errors.push(source.at("path").invalid("must be an absolute path"));
        }
        "image" => {
            optional_one_of(&source.at("pullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
            required(&source.at("reference"), errors);
        }
        _ => {}
    }
    errors.extend(present.map(|kind| volume.at(kind).forbidden("may not specify more than 1 volume type")));
}

fn size_limit(source: &At<'_>, errors: &mut ErrorList) {
    let limit = source.at("sizeLimit");
    if limit.is_set() && resources::parse(&limit).is_none_or(|limit| limit.is_negative()) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn mode(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(at.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// Keys projected to files.
fn files(source: &At<'_>, errors: &mut ErrorList) {
    mode(&source.at("defaultMode"), errors);
    for item in source.at("items").items() {
        required(&item.at("key"), errors);
        file_path(&item.at("path"), errors);
        mode(&item.at("mode"), errors);
    }
}

fn file_path(at: &At<'_>, errors: &mut ErrorList) {
    required(at, errors);
    descending(at, errors);
    if at.text().starts_with("..") && !at.text().starts_with("../") {
        errors.push(at.invalid("must not start with '..'"));
    }
}

fn downward_files(source: &At<'_>, errors: &mut ErrorList) {
    for item in source.at("items").items() {
        file_path(&item.at("path"), errors);
        let (field, resource) = (item.at("fieldRef"), item.at("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, true) => {
                errors.push(item.invalid("fieldRef and resourceFieldRef can not be specified simultaneously"))
            }
            (true, false) => env::field_ref(&field, POD_FIELDS, errors),
            (false, true) => env::resource_ref(&resource, true, errors),
            (false, false) => errors.push(item.required("one of fieldRef and resourceFieldRef is required")),
        }
        mode(&item.at("mode"), errors);
    }
}

fn projected(source: &At<'_>, errors: &mut ErrorList) {
    const KINDS: &[&str] =
        &["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];
    mode(&source.at("defaultMode"), errors);
    for entry in source.at("sources").items() {
        let mut present = entry.present(KINDS);
        let Some(kind) = present.next() else {
            errors.push(entry.required("must specify a volume type"));
            continue;
        };
        let inner = entry.at(kind);
        match kind {
            "secret" | "configMap" => {
                required(&inner.at("name"), errors);
                files(&inner, errors);
            }
            "downwardAPI" => downward_files(&inner, errors),
            "serviceAccountToken" => token(&inner, errors),
            _ => {}
        }
        errors
            .extend(present.map(|kind| entry.at(kind).forbidden("may not specify more than 1 volume type per source")));
    }
}

fn token(at: &At<'_>, errors: &mut ErrorList) {
    let seconds = at.at("expirationSeconds");
    if seconds.number().is_some_and(|seconds| seconds < 600) {
        errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
    }
    if seconds.number().is_some_and(|seconds| seconds > 1 << 32) {
        errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
    }
    if at.at("path").is_empty() {
        errors.push(at.at("path").required(""));
    } else {
        descending(&at.at("path"), errors);
    }
}
