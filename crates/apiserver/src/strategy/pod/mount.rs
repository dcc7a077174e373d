//! Where containers mount a pod's volumes.

use std::collections::{BTreeMap, BTreeSet};

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::super::field::{At, descending, no_backsteps};
use super::restart::supported;

/// The sound volumes of a pod, by name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a Value>;

const PROPAGATIONS: &[&str] = &["Bidirectional", "HostToContainer", "None"];
const READ_ONLY: &[&str] = &["Disabled", "Enabled", "IfPossible"];

/// Mounts and devices of a container.
pub(super) fn validate(container: &At<'_>, volumes: &Volumes<'_>, errors: &mut ErrorList) {
    let (mounts, devices) = (container.at("volumeMounts"), container.at("volumeDevices"));
    let mut paths = BTreeSet::new();
    for mount in mounts.items() {
        named(&mount, volumes.contains_key(mount.at("name").text()), errors);
        let path = mount.at("mountPath");
        if path.is_empty() {
            errors.push(path.required(""));
        }
        if !paths.insert(path.text()) {
            errors.push(Error::invalid(&path.path, path.text(), "must be unique"));
        }
        apart(&mount, "mountPath", &devices, "devicePath", errors);
        sub_paths(&mount, &mounts, errors);
        propagation(container, &mount, &mounts, errors);
        read_only(&mount, &mounts, errors);
    }
    validate_devices(&devices, &mounts, volumes, errors);
}

/// A mount or device names a volume.
fn named(entry: &At<'_>, known: bool, errors: &mut ErrorList) {
    let name = entry.at("name");
    if name.is_empty() {
        errors.push(name.required(""));
    }
    if !known {
        errors.push(Error::not_found(&name.path, name.text()));
    }
}

/// A volume is mounted or a device, and so is a path. Where names repeat, the last one counts.
fn apart(entry: &At<'_>, field: &str, others: &At<'_>, other_field: &str, errors: &mut ErrorList) {
    let (name, path) = (entry.at("name"), entry.at(field));
    let kind = if field == "mountPath" { "volumeDevices" } else { "volumeMounts" };
    let others: BTreeMap<_, _> =
        others.items().map(|other| (other.at("name").text(), other.at(other_field).text())).collect();
    if others.contains_key(name.text()) {
        errors.push(Error::invalid(&name.path, name.text(), format!("must not already exist in {kind}")));
    }
    if others.values().any(|other| *other == path.text()) {
        errors.push(Error::invalid(&path.path, path.text(), format!("must not already exist as a path in {kind}")));
    }
}

/// Upstream names the list where it means one of its entries.
fn sub_paths(mount: &At<'_>, mounts: &At<'_>, errors: &mut ErrorList) {
    let (sub, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
    descending(&sub.shown(mounts.path.child("subPath")), errors);
    if !expression.is_empty() && !sub.is_empty() {
        errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
    }
    descending(&expression.shown(mounts.path.child("subPathExpr")), errors);
}

fn propagation(container: &At<'_>, mount: &At<'_>, mounts: &At<'_>, errors: &mut ErrorList) {
    let mode = mount.at("mountPropagation").shown(mounts.path.child("mountPropagation"));
    if !mode.is_set() {
        return;
    }
    supported(&mode, PROPAGATIONS, errors);
    if mode.text() == "Bidirectional" && !container.at("securityContext").at("privileged").flag() {
        errors.push(mode.forbidden("Bidirectional mount propagation is available only to privileged containers"));
    }
}

fn read_only(mount: &At<'_>, mounts: &At<'_>, errors: &mut ErrorList) {
    let mode = mount.at("recursiveReadOnly").shown(mounts.path.child("recursiveReadOnly"));
    match mode.value.as_str() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !mount.at("readOnly").flag() {
                errors.push(mode.forbidden("may only be specified when readOnly is true"));
            }
            let propagation = mount.at("mountPropagation");
            if propagation.is_set() && propagation.text() != "None" {
                errors.push(mode.forbidden("may only be specified when mountPropagation is None or not specified"));
            }
        }
        Some(_) => errors.push(mode.unsupported(READ_ONLY)),
    }
}

fn validate_devices(devices: &At<'_>, mounts: &At<'_>, volumes: &Volumes<'_>, errors: &mut ErrorList) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for device in devices.items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        if name.is_empty() {
            errors.push(name.required(""));
        }
        if names.contains(name.text()) {
            errors.push(name.invalid("must be unique"));
        }
        match volumes.get(name.text()) {
            None => errors.push(Error::not_found(&name.path, name.text())),
            Some(volume) if volume["persistentVolumeClaim"].is_null() && volume["ephemeral"].is_null() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(name.invalid(detail));
            }
            Some(_) => {}
        }
        if path.is_empty() {
            errors.push(path.required(""));
        }
        if paths.contains(path.text()) {
            errors.push(path.invalid("must be unique"));
        }
        if climbs(&path) {
            errors.push(path.invalid("can not contain backsteps ('..')"));
        } else {
            paths.insert(path.text());
        }
        apart(&device, "devicePath", mounts, "mountPath", errors);
        if !name.is_empty() {
            names.insert(name.text());
        }
    }
}

fn climbs(path: &At<'_>) -> bool {
    let mut errors = ErrorList::new();
    no_backsteps(path, &mut errors);
    !errors.is_empty()
}

/// The name of a claim that is made for a volume.
pub(super) fn claim_name(at: &At<'_>, pod: &str, errors: &mut ErrorList) {
    let claim = format!("{pod}-{}", at.text());
    let messages = names::dns1123_subdomain(&claim);
    errors.extend(
        messages.into_iter().map(|message| at.invalid(format!("PVC name {}: {message}", object::field::quote(&claim)))),
    );
}
