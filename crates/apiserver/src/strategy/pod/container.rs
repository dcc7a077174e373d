//! Containers: normal, init and ephemeral ones.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, optional_name, port};
use super::super::rules::{self, Rule, Rules};
use super::mount::{self, Volumes};
use super::options::Options;
use super::{claims, env, probe, resources, restart, security};

pub(super) const PULL_POLICIES: Rule = Rule::OneOf(&["Always", "IfNotPresent", "Never"]);
pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Fields that only init containers beside which others run may have.
const NOT_IN_INIT: &[&str] = &["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];
/// Fields that ephemeral containers may not have, in upstream's order.
const NOT_IN_EPHEMERAL: &[&str] = &[
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

const HEAD: Rules = &[
    ("name", Rule::Name(names::dns1123_label)),
    ("image", Rule::Required),
    ("terminationMessagePolicy", Rule::OneOf(&["File", "FallbackToLogsOnError"])),
    ("ports", Rule::Holds(ports)),
    ("env", Rule::Holds(env::validate)),
    ("envFrom", Rule::Holds(env::validate_from)),
];

/// What all containers of a pod are checked against.
struct Surroundings<'a> {
    spec: &'a At<'a>,
    volumes: &'a Volumes<'a>,
    claims: Vec<&'a str>,
    options: &'a Options,
}

/// All containers of a pod.
pub(super) fn validate(spec: &At<'_>, volumes: &Volumes<'_>, options: &Options, errors: &mut ErrorList) {
    let around = Surroundings { spec, volumes, claims: claims::names(&spec.at("resourceClaims")), options };
    normal(&around, errors);
    init(&around, errors);
    ephemeral(&around, errors);
}

/// What only pods must keep to: images in templates may have spaces around them.
pub(super) fn padded_image(container: &At<'_>, errors: &mut ErrorList) {
    let image = container.at("image");
    if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

fn normal(around: &Surroundings<'_>, errors: &mut ErrorList) {
    let containers = around.spec.at("containers");
    if containers.is_empty() {
        errors.push(containers.required(""));
        return;
    }
    let mut seen = BTreeSet::new();
    for container in containers.items() {
        around.common(&container, errors);
        let name = container.at("name");
        if !seen.insert(name.text()) {
            errors.push(Error::duplicate(&name.path, name.text()));
        }
        probe::validate(&container, around.spec, errors);
        restart::policy(&container, errors);
    }
    host_ports(containers.items(), errors);
}

/// An init container that restarts always runs beside the others and may be probed.
fn init(around: &Surroundings<'_>, errors: &mut ErrorList) {
    let mut seen: BTreeSet<_> = around.spec.at("containers").items().map(|c| c.at("name").text()).collect();
    let list = around.spec.at("initContainers");
    for container in list.items() {
        around.common(&container, errors);
        restart::init_policy(&container, errors);
        let name = container.at("name");
        if seen.contains(name.text()) {
            errors.push(Error::duplicate(&name.path, name.text()));
        } else if !name.is_empty() {
            seen.insert(name.text());
        }
        // Upstream counts from zero here, wherever the container stands.
        host_ports([container.shown(list.path.index(0))].into_iter(), errors);
        let sidecar = container.at("restartPolicy").text() == "Always";
        if sidecar {
            probe::validate(&container, around.spec, errors);
        } else {
            let detail = "may not be set for init containers without restartPolicy=Always";
            errors.extend(container.present(NOT_IN_INIT).map(|field| container.at(field).forbidden(detail)));
        }
        if !sidecar && !around.options.restarting_init_resize {
            restart::no_restarting_resize(&container, errors);
        }
    }
}

fn ephemeral(around: &Surroundings<'_>, errors: &mut ErrorList) {
    let (containers, init) = (around.spec.at("containers"), around.spec.at("initContainers"));
    let others: BTreeSet<_> = containers.items().chain(init.items()).map(|c| c.at("name").text()).collect();
    let mut seen = others.clone();
    for container in around.spec.at("ephemeralContainers").items() {
        around.common(&container, errors);
        padded_image(&container, errors);
        let (name, target) = (container.at("name"), container.at("targetContainerName"));
        if !seen.insert(name.text()) {
            errors.push(Error::duplicate(&name.path, name.text()));
        }
        if !target.is_empty() && !others.contains(target.text()) {
            errors.push(target.not_found());
        }
        let detail = "cannot be set for an Ephemeral Container";
        let set = NOT_IN_EPHEMERAL.iter().map(|field| container.at(field)).filter(|at| !at.is_empty());
        errors.extend(set.map(|at| at.forbidden(detail)));
        for path in container.at("volumeMounts").items().flat_map(|m| [m.at("subPath"), m.at("subPathExpr")]) {
            if !path.is_empty() {
                errors.push(path.forbidden(detail));
            }
        }
    }
}

impl Surroundings<'_> {
    /// What holds for containers of all kinds.
    fn common(&self, container: &At<'_>, errors: &mut ErrorList) {
        rules::check(container, HEAD, errors);
        mount::validate(container, self.volumes, errors);
        rules::check(container, &[("imagePullPolicy", PULL_POLICIES)], errors);
        resources::of_container(&container.at("resources"), &self.claims, self.options, errors);
        restart::resize_policy(&container.at("resizePolicy"), self.spec.at("restartPolicy").text(), errors);
        security::of_container(&container.at("securityContext"), self.spec, errors);
    }
}

fn ports(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for entry in at.items() {
        let (name, number, host) = (entry.at("name"), entry.at("containerPort"), entry.at("hostPort"));
        let before = errors.len();
        optional_name(&name, names::port_name, errors);
        if errors.len() == before && !name.is_empty() && !seen.insert(name.text()) {
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
        rules::check(&entry, &[("protocol", Rule::OneOf(PROTOCOLS))], errors);
    }
}

/// Two containers of a pod cannot have the same port of the host.
fn host_ports<'a>(containers: impl Iterator<Item = At<'a>>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for entry in containers.flat_map(|container| container.at("ports").items()) {
        let host = entry.at("hostPort");
        let Some(number) = host.number().filter(|number| *number != 0) else { continue };
        let shown = format!("{}/{}/{number}", entry.at("protocol").text(), entry.at("hostIP").text());
        if !seen.insert(shown.clone()) {
            errors.push(Error::duplicate(&host.path, shown));
        }
    }
}
