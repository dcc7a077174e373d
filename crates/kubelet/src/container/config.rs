//! The configuration that a container is created with.

use std::collections::BTreeMap;

use super::security::{self, ImageUser, ProfileRoot};
use super::{expand, labels, resources};
use crate::pod::desired::{Desired, Slot};

/// Where a container writes its last words unless it says otherwise.
pub const TERMINATION_PATH: &str = "/dev/termination-log";

/// Everything a container's configuration is made from.
#[derive(Debug)]
pub struct Recipe<'a> {
    pub desired: &'a Desired,
    pub slot: &'a Slot,
    pub attempt: u32,
    pub environment: Vec<(String, String)>,
    pub mounts: Vec<cri::Mount>,
    /// The image as the runtime knows it.
    pub image_ref: String,
    pub image_user: ImageUser,
    /// The container whose process namespace a debugging container joins.
    pub target_id: Option<String>,
    /// Bytes of memory that the node has.
    pub memory_capacity: i64,
    pub node_name: &'a str,
    pub profiles: &'a ProfileRoot,
}

/// Builds the configuration.
#[must_use]
pub fn config(recipe: Recipe<'_>) -> cri::ContainerConfig {
    let Recipe { desired, slot, .. } = recipe;
    let container = &slot.container;
    let known: BTreeMap<&str, &str> = recipe.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expanded = |list: &Option<Vec<String>>| -> Vec<String> {
        let lookup = |name: &str| known.get(name).map(|value| (*value).to_owned());
        list.iter().flatten().map(|text| expand::expand(text, lookup)).collect()
    };
    let mut context = security::container_context(desired.spec(), container, &recipe.image_user, &[], recipe.profiles);
    if let (Some(target), Some(namespaces)) = (recipe.target_id, context.namespace_options.as_mut()) {
        namespaces.pid = cri::NamespaceMode::Target as i32;
        namespaces.target_id = target;
    }
    cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata { name: container.name.clone(), attempt: recipe.attempt }),
        image: Some(cri::ImageSpec {
            image: recipe.image_ref,
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..Default::default()
        }),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts: recipe.mounts,
        labels: own_labels(desired, &container.name, recipe.node_name),
        annotations: annotations(desired, slot, recipe.attempt),
        log_path: log_path(&container.name, recipe.attempt),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        linux: Some(cri::LinuxContainerConfig {
            resources: Some(resources::linux(&desired.pod, container, recipe.memory_capacity)),
            security_context: Some(context),
        }),
        stop_signal: stop_signal(slot),
        envs: recipe
            .environment
            .into_iter()
            .map(|(key, value)| cri::KeyValue { key, value: value.into_bytes() })
            .collect(),
        ..Default::default()
    }
}

/// A container's log below its pod's log directory.
#[must_use]
pub fn log_path(name: &str, attempt: u32) -> String {
    format!("{name}/{attempt}.log")
}

fn own_labels(desired: &Desired, name: &str, node: &str) -> BTreeMap<String, String> {
    let mut own = pod_labels(desired, node);
    own.insert(labels::CONTAINER_NAME.to_owned(), name.to_owned());
    own
}

/// Labels that lead from sandboxes and containers back to their pod.
#[must_use]
pub fn pod_labels(desired: &Desired, node: &str) -> BTreeMap<String, String> {
    [
        (labels::POD_NAME, desired.name()),
        (labels::POD_NAMESPACE, desired.namespace()),
        (labels::POD_UID, desired.uid()),
        (labels::NODE, node),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

fn annotations(desired: &Desired, slot: &Slot, attempt: u32) -> BTreeMap<String, String> {
    let container = &slot.container;
    let path = container.termination_message_path.as_deref().unwrap_or(TERMINATION_PATH);
    let policy = container.termination_message_policy.as_deref().unwrap_or("File");
    [
        (labels::CONTAINER_HASH, slot.hash.clone()),
        (labels::RESTART_COUNT, attempt.to_string()),
        (labels::TERMINATION_PATH, path.to_owned()),
        (labels::TERMINATION_POLICY, policy.to_owned()),
        (labels::GRACE, desired.grace().to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

fn stop_signal(slot: &Slot) -> i32 {
    let name = slot.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    name.and_then(cri::signal::from_name).unwrap_or(0)
}
