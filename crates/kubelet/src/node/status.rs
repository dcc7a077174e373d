//! The node's object and status, from facts. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeFeatures,
    NodeRuntimeHandler, NodeRuntimeHandlerFeatures, NodeSpec, NodeStatus, NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::machine::Machine;
use super::pressure::Pressure;

/// Most images that a status lists, and most names of each.
const MAX_IMAGES: usize = 50;
const MAX_NAMES: usize = 5;

/// What does not change while the kubelet runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    pub name: String,
    pub ips: Vec<IpAddr>,
    pub machine: Machine,
    pub max_pods: u32,
    pub port: Option<u16>,
    pub version: String,
    /// `containerd://1.6.20`
    pub runtime_version: String,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
}

/// What does.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub pressure: Pressure,
    pub runtime: Option<cri::StatusResponse>,
    pub images: Vec<cri::Image>,
}

/// The object to register.
#[must_use]
pub fn node(fixed: &Fixed) -> Node {
    let mut labels = fixed.labels.clone();
    for (key, value) in [
        ("beta.kubernetes.io/arch", fixed.machine.architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", fixed.machine.architecture),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", &fixed.name),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    let attach = ("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned());
    Node {
        metadata: ObjectMeta {
            name: Some(fixed.name.clone()),
            labels: Some(labels),
            annotations: Some(BTreeMap::from([attach])),
            ..Default::default()
        },
        spec: Some(NodeSpec { taints: (!fixed.taints.is_empty()).then(|| fixed.taints.clone()), ..Default::default() }),
        status: None,
    }
}

/// What the node has.
#[must_use]
pub fn capacity(fixed: &Fixed) -> BTreeMap<String, Quantity> {
    let machine = &fixed.machine;
    [
        ("cpu", machine.cpus.to_string()),
        ("memory", format!("{}Ki", machine.memory / 1024)),
        ("ephemeral-storage", format!("{}Ki", machine.disk / 1024)),
        ("pods", fixed.max_pods.to_string()),
    ]
    .into_iter()
    .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
    .collect()
}

/// The whole status. Conditions keep the time of their last change from `old`.
#[must_use]
pub fn status(fixed: &Fixed, observed: &Observed, old: &NodeStatus, now: Timestamp) -> NodeStatus {
    let machine = &fixed.machine;
    let capacity = capacity(fixed);
    let features = observed.runtime.as_ref().and_then(|runtime| runtime.features.as_ref());
    NodeStatus {
        addresses: Some(addresses(fixed)),
        allocatable: Some(capacity.clone()),
        capacity: Some(capacity),
        conditions: Some(conditions(observed, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: fixed.port.map(|port| DaemonEndpoint { port: i32::from(port) }),
        }),
        images: Some(images(&observed.images)),
        node_info: Some(NodeSystemInfo {
            architecture: machine.architecture.to_owned(),
            boot_id: machine.boot_id.clone(),
            container_runtime_version: fixed.runtime_version.clone(),
            kernel_version: machine.kernel.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: fixed.version.clone(),
            machine_id: machine.machine_id.clone(),
            operating_system: "linux".into(),
            os_image: machine.os_image.clone(),
            swap: None,
            system_uuid: machine.system_uuid.clone(),
        }),
        runtime_handlers: observed.runtime.as_ref().map(handlers).filter(|handlers| !handlers.is_empty()),
        features: features
            .map(|features| NodeFeatures { supplemental_groups_policy: Some(features.supplemental_groups_policy) }),
        ..old.clone()
    }
}

/// Whether a status says that the node is ready.
#[must_use]
pub fn is_ready(status: &NodeStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn addresses(fixed: &Fixed) -> Vec<NodeAddress> {
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    let ips = fixed.ips.iter().map(|ip| address("InternalIP", ip.to_string()));
    ips.chain([address("Hostname", fixed.name.clone())]).collect()
}

fn conditions(observed: &Observed, old: &NodeStatus, now: Timestamp) -> Vec<NodeCondition> {
    let Pressure { memory, disk, pids } = observed.pressure;
    let text = |flag: bool, yes: [&'static str; 2], no: [&'static str; 2]| if flag { yes } else { no };
    let pressures = [
        (
            "MemoryPressure",
            memory,
            text(
                memory,
                ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
                ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
            ),
        ),
        (
            "DiskPressure",
            disk,
            text(
                disk,
                ["KubeletHasDiskPressure", "kubelet has disk pressure"],
                ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
            ),
        ),
        (
            "PIDPressure",
            pids,
            text(
                pids,
                ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
                ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
            ),
        ),
    ];
    let mut own: Vec<NodeCondition> = pressures
        .into_iter()
        .map(|(kind, holds, [reason, message])| condition(old, now, kind, holds, reason, message.to_owned()))
        .collect();
    let trouble = trouble(observed.runtime.as_ref());
    own.push(match trouble {
        None => condition(old, now, "Ready", true, "KubeletReady", "kubelet is posting ready status".into()),
        Some(why) => condition(old, now, "Ready", false, "KubeletNotReady", why),
    });
    let foreign = old.conditions.iter().flatten().filter(|old| !own.iter().any(|own| own.type_ == old.type_));
    let foreign: Vec<NodeCondition> = foreign.cloned().collect();
    own.into_iter().chain(foreign).collect()
}

fn condition(
    old: &NodeStatus,
    now: Timestamp,
    kind: &str,
    holds: bool,
    reason: &str,
    message: String,
) -> NodeCondition {
    let status = if holds { "True" } else { "False" };
    let same = old.conditions.iter().flatten().find(|old| old.type_ == kind && old.status == status);
    NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: same.and_then(|old| old.last_transition_time.clone()).or(Some(Time(now))),
    }
}

/// Why the runtime cannot take pods.
fn trouble(runtime: Option<&cri::StatusResponse>) -> Option<String> {
    let Some(status) = runtime.and_then(|runtime| runtime.status.as_ref()) else {
        return Some("container runtime is down".into());
    };
    let unmet = |kind: &str, words: &str| {
        let found = status.conditions.iter().find(|condition| condition.r#type == kind);
        match found {
            Some(condition) if condition.status => None,
            Some(condition) => {
                Some(format!("{words}: {kind}=false reason:{} message:{}", condition.reason, condition.message))
            }
            None => Some(format!("{words}: the runtime does not report {kind}")),
        }
    };
    unmet("RuntimeReady", "container runtime not ready")
        .or_else(|| unmet("NetworkReady", "container runtime network not ready"))
}

/// The largest images first.
fn images(images: &[cri::Image]) -> Vec<ContainerImage> {
    let mut sorted: Vec<&cri::Image> = images.iter().collect();
    sorted.sort_by(|a, b| (b.size, &a.id).cmp(&(a.size, &b.id)));
    let image = |image: &cri::Image| ContainerImage {
        names: Some(image.repo_digests.iter().chain(&image.repo_tags).take(MAX_NAMES).cloned().collect()),
        size_bytes: i64::try_from(image.size).ok(),
    };
    sorted.into_iter().take(MAX_IMAGES).map(image).collect()
}

fn handlers(runtime: &cri::StatusResponse) -> Vec<NodeRuntimeHandler> {
    let handler = |handler: &cri::RuntimeHandler| NodeRuntimeHandler {
        name: Some(handler.name.clone()),
        features: handler.features.as_ref().map(|features| NodeRuntimeHandlerFeatures {
            recursive_read_only_mounts: Some(features.recursive_read_only_mounts),
            user_namespaces: Some(features.user_namespaces),
        }),
    };
    runtime.runtime_handlers.iter().map(handler).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> Fixed {
        Fixed {
            name: "n1".into(),
            ips: vec!["10.0.0.1".parse().unwrap()],
            machine: Machine { cpus: 2, memory: 4 << 30, disk: 1 << 40, architecture: "amd64", ..Default::default() },
            max_pods: 110,
            port: Some(10250),
            version: "v1.36.0".into(),
            runtime_version: "x://1".into(),
            labels: BTreeMap::from([("zone".into(), "a".into())]),
            taints: Vec::new(),
        }
    }

    fn runtime(ready: bool) -> cri::StatusResponse {
        let condition = |kind: &str, status| cri::RuntimeCondition {
            r#type: kind.into(),
            status,
            reason: "NoNet".into(),
            message: "no network".into(),
        };
        let conditions = vec![condition("RuntimeReady", true), condition("NetworkReady", ready)];
        cri::StatusResponse { status: Some(cri::RuntimeStatus { conditions }), ..Default::default() }
    }

    fn ready(observed: &Observed, old: &NodeStatus, second: i64) -> (NodeStatus, NodeCondition) {
        let status = status(&fixed(), observed, old, Timestamp::from_second(second).unwrap());
        let found = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready").cloned();
        (status, found.unwrap())
    }

    #[test]
    fn readiness_follows_the_runtime() {
        let (old, condition) = ready(&Observed::default(), &NodeStatus::default(), 1);
        assert_eq!(
            (condition.status.as_str(), condition.message.as_deref()),
            ("False", Some("container runtime is down"))
        );
        let no_network = Observed { runtime: Some(runtime(false)), ..Default::default() };
        let (old, condition) = ready(&no_network, &old, 2);
        let words = "container runtime network not ready: NetworkReady=false reason:NoNet message:no network";
        assert_eq!(condition.message.as_deref(), Some(words));
        assert_eq!(condition.last_transition_time.unwrap().0.as_second(), 1);
        let (status, condition) = ready(&Observed { runtime: Some(runtime(true)), ..Default::default() }, &old, 3);
        assert!(is_ready(&status));
        assert_eq!(condition.reason.as_deref(), Some("KubeletReady"));
        assert_eq!(condition.last_transition_time.unwrap().0.as_second(), 3);
    }

    #[test]
    fn the_object_has_the_well_known_labels() {
        let labels = node(&fixed()).metadata.labels.unwrap();
        assert_eq!(labels["kubernetes.io/hostname"], "n1");
        assert_eq!(labels["kubernetes.io/arch"], "amd64");
        assert_eq!(labels["zone"], "a");
        let capacity = capacity(&fixed());
        assert_eq!(capacity["memory"].0, "4194304Ki");
        assert_eq!(capacity["pods"].0, "110");
    }
}
