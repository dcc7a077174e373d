//! Tables of the core group, but for pods and services.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Column,
    read::{self, NONE, UNKNOWN},
};

pub(super) static COMPONENT_STATUSES: &[Column] = &[
    Column::name(),
    Column::text("Status", |o, _| match component(o).map(|c| read::text(c, "status")) {
        Some("True") => "Healthy".into(),
        Some(_) => "Unhealthy".into(),
        None => "Unknown".into(),
    }),
    Column::text("Message", |o, _| component(o).map_or("", |c| read::text(c, "message")).into()),
    Column::text("Error", |o, _| component(o).map_or("", |c| read::text(c, "error")).into()),
];

pub(super) static CONFIG_MAPS: &[Column] = &[
    Column::name(),
    Column::text("Data", |o, _| (read::length(o, "data") + read::length(o, "binaryData")).into()),
    Column::age(),
];

pub(super) static EVENTS: &[Column] = &[
    Column::text("Last Seen", last_seen),
    Column::path("Type", "type"),
    Column::path("Reason", "reason"),
    Column::text("Object", |o, _| {
        let (kind, name) = (read::text(o, "involvedObject.kind").to_lowercase(), read::text(o, "involvedObject.name"));
        if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() }
    }),
    Column::path("Subobject", "involvedObject.fieldPath").wide(),
    Column::text("Source", |o, _| event_source(o).into()).wide(),
    Column::text("Message", |o, _| read::text(o, "message").trim().into()),
    Column::text("First Seen", first_seen).wide(),
    Column::text("Count", |o, _| match read::integer(o, "series.count") {
        0 => read::integer(o, "count").max(1).into(),
        count => count.into(),
    })
    .wide(),
    Column::name().wide(),
];

pub(super) static NAMESPACES: &[Column] = &[Column::name(), Column::path("Status", "status.phase"), Column::age()];

pub(super) static NODES: &[Column] = &[
    Column::name(),
    Column::text("Status", |o, _| node_status(o).into()),
    Column::text("Roles", |o, _| node_roles(o).into()),
    Column::age(),
    Column::path("Version", "status.nodeInfo.kubeletVersion"),
    Column::text("Internal-IP", |o, _| node_address(o, "InternalIP").into()).wide(),
    Column::text("External-IP", |o, _| node_address(o, "ExternalIP").into()).wide(),
    Column::text("OS-Image", |o, _| read::text_or(o, "status.nodeInfo.osImage", UNKNOWN).into()).wide(),
    Column::text("Kernel-Version", |o, _| read::text_or(o, "status.nodeInfo.kernelVersion", UNKNOWN).into()).wide(),
    Column::text("Container-Runtime", |o, _| {
        read::text_or(o, "status.nodeInfo.containerRuntimeVersion", UNKNOWN).into()
    })
    .wide(),
];

pub(super) static PERSISTENT_VOLUME_CLAIMS: &[Column] = &[
    Column::name(),
    Column::text("Status", |o, _| phase(o).into()),
    Column::path("Volume", "spec.volumeName"),
    Column::text("Capacity", |o, _| bound(o, read::text(o, "status.capacity.storage")).into()),
    Column::text("Access Modes", |o, _| bound(o, &access_modes(o, "status.accessModes")).into()),
    Column::text("StorageClass", |o, _| storage_class(o).into()),
    Column::text("VolumeAttributesClass", |o, _| read::text_or(o, "spec.volumeAttributesClassName", "<unset>").into()),
    Column::age(),
    Column::text("VolumeMode", |o, _| read::text_or(o, "spec.volumeMode", "<unset>").into()).wide(),
];

pub(super) static PERSISTENT_VOLUMES: &[Column] = &[
    Column::name(),
    Column::text("Capacity", |o, _| read::text_or(o, "spec.capacity.storage", "0").into()),
    Column::text("Access Modes", |o, _| access_modes(o, "spec.accessModes").into()),
    Column::path("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
    Column::text("Status", |o, _| phase(o).into()),
    Column::text("Claim", |o, _| match read::at(o, "spec.claimRef") {
        Some(claim) if claim.is_object() => {
            format!("{}/{}", read::text(claim, "namespace"), read::text(claim, "name")).into()
        }
        _ => "".into(),
    }),
    Column::text("StorageClass", |o, _| storage_class(o).into()),
    Column::text("VolumeAttributesClass", |o, _| read::text_or(o, "spec.volumeAttributesClassName", "<unset>").into()),
    Column::path("Reason", "status.reason"),
    Column::age(),
    Column::text("VolumeMode", |o, _| read::text_or(o, "spec.volumeMode", "<unset>").into()).wide(),
];

pub(super) static POD_TEMPLATES: &[Column] = &[
    Column::name(),
    Column::text("Containers", |o, _| read::members(o, "template.spec.containers", "name").into()),
    Column::text("Images", |o, _| read::members(o, "template.spec.containers", "image").into()),
    Column::text("Pod Labels", |o, _| read::labels(o, "template.metadata.labels").into()),
];

pub(super) static REPLICATION_CONTROLLERS: &[Column] = &[
    Column::name(),
    Column::integer("Desired", "spec.replicas"),
    Column::integer("Current", "status.replicas"),
    Column::integer("Ready", "status.readyReplicas"),
    Column::age(),
    Column::text("Containers", |o, _| read::members(o, "spec.template.spec.containers", "name").into()).wide(),
    Column::text("Images", |o, _| read::members(o, "spec.template.spec.containers", "image").into()).wide(),
    Column::text("Selector", |o, _| read::labels(o, "spec.selector").into()).wide(),
];

pub(super) static RESOURCE_QUOTAS: &[Column] = &[
    Column::name(),
    Column::text("Request", |o, _| quota(o, false).into()),
    Column::text("Limit", |o, _| quota(o, true).into()),
    Column::age(),
];

pub(super) static SECRETS: &[Column] = &[
    Column::name(),
    Column::path("Type", "type"),
    Column::text("Data", |o, _| read::length(o, "data").into()),
    Column::age(),
];

pub(super) static SERVICE_ACCOUNTS: &[Column] = &[Column::name(), Column::age()];

fn component(object: &Value) -> Option<&Value> {
    read::list(object, "conditions").iter().find(|c| read::text(c, "type") == "Healthy")
}

/// Events without the old timestamps have only the time of the event.
fn first_seen(object: &Value, now: Timestamp) -> Value {
    let first = read::text(object, "firstTimestamp");
    let moment = if first.is_empty() { read::text(object, "eventTime") } else { first };
    read::since(moment, now).into()
}

fn last_seen(object: &Value, now: Timestamp) -> Value {
    let series = read::text(object, "series.lastObservedTime");
    let last = if series.is_empty() { read::text(object, "lastTimestamp") } else { series };
    if last.is_empty() { first_seen(object, now) } else { read::since(last, now).into() }
}

fn event_source(object: &Value) -> String {
    let component = match read::text(object, "source.component") {
        "" => read::text(object, "reportingComponent"),
        component => component,
    };
    let host = match read::text(object, "source.host") {
        "" => read::text(object, "reportingInstance"),
        host => host,
    };
    if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }
}

fn node_status(object: &Value) -> String {
    let ready = match read::condition(object, "Ready") {
        None => "Unknown",
        Some(condition) if read::text(condition, "status") == "True" => "Ready",
        Some(_) => "NotReady",
    };
    let cordoned = if read::boolean(object, "spec.unschedulable") { ",SchedulingDisabled" } else { "" };
    format!("{ready}{cordoned}")
}

fn node_roles(object: &Value) -> String {
    let labels = read::at(object, "metadata.labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { NONE.to_owned() } else { roles.join(",") }
}

fn node_address<'a>(object: &'a Value, kind: &str) -> &'a str {
    let addresses = read::list(object, "status.addresses");
    addresses.iter().find(|a| read::text(a, "type") == kind).map_or(NONE, |a| read::text(a, "address"))
}

fn phase(object: &Value) -> &str {
    if read::at(object, "metadata.deletionTimestamp").is_some_and(|t| !t.is_null()) {
        return "Terminating";
    }
    read::text(object, "status.phase")
}

/// Nothing until the claim has a volume.
fn bound<'a>(object: &Value, text: &'a str) -> &'a str {
    if read::text(object, "spec.volumeName").is_empty() { "" } else { text }
}

fn storage_class(object: &Value) -> &str {
    let annotation = object::meta::annotation(object, "volume.beta.kubernetes.io/storage-class");
    annotation.unwrap_or_else(|| read::text(object, "spec.storageClassName"))
}

fn access_modes(object: &Value, path: &str) -> String {
    let modes =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let has = |mode: &str| read::list(object, path).iter().any(|m| m == mode);
    modes.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// `cpu: 1/2, pods: 3/10`: used of hard, limits apart from the rest.
fn quota(object: &Value, limits: bool) -> String {
    let hard = read::at(object, "status.hard").and_then(Value::as_object);
    let used = read::at(object, "status.used");
    let mut names: Vec<&String> =
        hard.into_iter().flatten().map(|(name, _)| name).filter(|n| n.starts_with("limits.") == limits).collect();
    names.sort_unstable();
    let quantity = |from: Option<&Value>, name: &str| {
        from.and_then(|q| q.get(name)).and_then(Value::as_str).unwrap_or("0").to_owned()
    };
    let hard = read::at(object, "status.hard");
    let entry = |name: &&String| format!("{name}: {}/{}", quantity(used, name), quantity(hard, name));
    names.iter().map(entry).collect::<Vec<_>>().join(", ")
}
