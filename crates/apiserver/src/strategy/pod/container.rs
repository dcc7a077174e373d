//! Containers: normal, init and ephemeral ones.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, one_of, optional_name, port, required, required_name};
use super::{env, probe, resources, security, volume};

/// Fields that a container of that kind must not have.
const NOT_IN_INIT: &[&str] = &["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];
const NOT_IN_EPHEMERAL: &[&str] =
    &["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy"];

/// All containers of a pod.
pub(super) fn validate(spec: &At<'_>, volumes: &BTreeSet<&str>, errors: &mut ErrorList) {
    let containers = spec.at("containers");
    if containers.is_empty() {
        errors.push(containers.required(""));
    }
    let mut seen = BTreeSet::new();
    for container in containers.items() {
        named(&container, &mut seen, errors);
        common(&container, volumes, errors);
        probe::validate_lifecycle(&container, errors);
        probe::validate(&container, errors);
    }
    host_ports(&containers, spec.at("hostNetwork").flag(), errors);
    for container in spec.at("initContainers").items() {
        named(&container, &mut seen, errors);
        common(&container, volumes, errors);
        init(&container, errors);
    }
    for container in spec.at("ephemeralContainers").items() {
        named(&container, &mut seen, errors);
        common(&container, volumes, errors);
        for field in container.present(NOT_IN_EPHEMERAL) {
            if !container.at(field).is_empty() {
                errors.push(container.at(field).forbidden("field not allowed in EphemeralContainers"));
            }
        }
    }
}

fn named<'a>(container: &At<'a>, seen: &mut BTreeSet<&'a str>, errors: &mut ErrorList) {
    let name = container.at("name");
    required_name(&name, names::dns1123_label, errors);
    if !name.is_empty() && !seen.insert(name.text()) {
        errors.push(name.duplicate());
    }
}

/// An init container that restarts runs beside the others and may be probed.
fn init(container: &At<'_>, errors: &mut ErrorList) {
    let policy = container.at("restartPolicy");
    if policy.text() == "Always" {
        probe::validate_lifecycle(container, errors);
        probe::validate(container, errors);
        return;
    }
    for field in container.present(NOT_IN_INIT) {
        errors.push(container.at(field).forbidden("may not be set for init containers without restartPolicy=Always"));
    }
}

fn common(container: &At<'_>, volumes: &BTreeSet<&str>, errors: &mut ErrorList) {
    let image = container.at("image");
    required(&image, errors);
    if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
    one_of(&container.at("terminationMessagePolicy"), &["FallbackToLogsOnError", "File"], errors);
    ports(&container.at("ports"), errors);
    env::validate(&container.at("env"), errors);
    env::validate_from(&container.at("envFrom"), errors);
    volume::validate_mounts(container, volumes, errors);
    one_of(&container.at("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    resources::validate(&container.at("resources"), errors);
    security::validate_container(&container.at("securityContext"), errors);
}

fn ports(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for entry in at.items() {
        let (name, number, host) = (entry.at("name"), entry.at("containerPort"), entry.at("hostPort"));
        optional_name(&name, names::port_name, errors);
        if !name.is_empty() && !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        if number.number().unwrap_or_default() == 0 {
            errors.push(number.required(""));
        } else {
            port(&number, errors);
        }
        if host.number().is_some_and(|host| host != 0) {
            port(&host, errors);
        }
        one_of(&entry.at("protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

/// Two containers of a pod cannot have the same port of the host; in the host's network there is no mapping.
fn host_ports(containers: &At<'_>, host_network: bool, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for entry in containers.items().flat_map(|container| container.at("ports").items()) {
        let host = entry.at("hostPort");
        let Some(number) = host.number().filter(|number| *number != 0) else { continue };
        let shown = format!("{}/{}/{number}", entry.at("protocol").text(), entry.at("hostIP").text());
        if seen.contains(&shown) {
            errors.push(Error::duplicate(&host.path, shown.clone()));
        }
        seen.insert(shown);
        if host_network && entry.at("containerPort").number() != Some(number) {
            errors.push(entry.at("containerPort").invalid("must match `hostPort` when `hostNetwork` is true"));
        }
    }
}
