//! What an update may keep although a new pod could not have it: upstream never refuses a change for what was there.

use object::field::{ErrorList, Path};
use serde_json::Value;

use super::super::field::{At, local_path};
use super::super::labels;
use super::{each_container, resources, scheduling, security, spread};

#[derive(Debug, Clone, Default)]
pub(in super::super) struct Options {
    /// The object is a pod, not a template.
    pub(in super::super) is_pod: bool,
    pub(super) deletion_cost: bool,
    pub(super) label_values: bool,
    pub(super) node_label_values: bool,
    pub(super) spread_selectors: bool,
    /// `matchLabelKeys` are checked by the rules of before 1.34.
    pub(super) old_spread_keys: bool,
    pub(super) huge_pages: bool,
    pub(super) token_paths: bool,
    pub(super) host_sysctls: bool,
    pub(super) comparing_tolerations: bool,
    pub(super) selinux_policies: bool,
    pub(super) restarting_init_resize: bool,
    pub(super) user_devices: bool,
    pub(super) user_host_network: bool,
}

impl Options {
    /// Given what the spec and the metadata were before.
    pub(in super::super) fn of(old: Option<(&Value, &Value)>) -> Self {
        let Some((spec, metadata)) = old else { return Self::default() };
        let spec = At { value: spec, path: Path::root() };
        Self {
            is_pod: false,
            deletion_cost: super::annotations::deletion_cost(metadata).is_none(),
            label_values: fails(|errors| scheduling::pod_selectors(&spec.at("affinity"), errors)),
            node_label_values: fails(|errors| scheduling::node_values(&spec.at("affinity"), errors)),
            spread_selectors: fails(|errors| spread_selectors(&spec, errors)),
            old_spread_keys: fails(|errors| spread_keys(&spec, errors)),
            huge_pages: resources::has_odd_huge_pages(&spec),
            token_paths: fails(|errors| token_paths(&spec, errors)),
            host_sysctls: fails(|errors| security::host_sysctls(&spec, errors)),
            comparing_tolerations: spec
                .at("tolerations")
                .items()
                .any(|t| matches!(t.at("operator").text(), "Lt" | "Gt")),
            selinux_policies: spec.at("securityContext").at("seLinuxChangePolicy").is_set(),
            restarting_init_resize: restarting_init_resize(&spec),
            user_devices: has_users(&spec) && each_container(&spec).any(|c| !c.at("volumeDevices").is_empty()),
            user_host_network: has_users(&spec) && spec.at("hostNetwork").flag(),
        }
    }

    pub(in super::super) fn pod(self) -> Self {
        Self { is_pod: true, ..self }
    }
}

/// Whether the pod's users are not those of the host.
pub(super) fn has_users(spec: &At<'_>) -> bool {
    spec.at("hostUsers").value.as_bool() == Some(false)
}

fn fails(check: impl FnOnce(&mut ErrorList)) -> bool {
    let mut errors = ErrorList::new();
    check(&mut errors);
    !errors.is_empty()
}

fn spread_selectors(spec: &At<'_>, errors: &mut ErrorList) {
    spec.at("topologySpreadConstraints").items().for_each(|c| labels::selector(&c.at("labelSelector"), errors));
}

fn spread_keys(spec: &At<'_>, errors: &mut ErrorList) {
    for constraint in spec.at("topologySpreadConstraints").items() {
        spread::match_label_keys(&constraint, errors);
    }
}

fn token_paths(spec: &At<'_>, errors: &mut ErrorList) {
    for source in spec.at("volumes").items().flat_map(|volume| volume.at("projected").at("sources").items()) {
        local_path(&source.at("serviceAccountToken").at("path"), errors);
    }
}

fn restarting_init_resize(spec: &At<'_>) -> bool {
    let mut once = spec.at("initContainers").items().filter(|c| c.at("restartPolicy").text() != "Always");
    once.any(|c| c.at("resizePolicy").items().any(|p| p.at("restartPolicy").text() == "RestartContainer"))
}
