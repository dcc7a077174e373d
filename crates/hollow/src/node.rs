//! What a hollow node says of itself.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Seconds after which a Lease that was not renewed counts as lost.
const LEASE_SECONDS: u32 = 40;
/// Where node Leases live.
pub(crate) const LEASE_NAMESPACE: &str = "kube-node-lease";

/// The Node object with which a node registers.
pub(crate) fn registration(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "type": "hollow",
        }},
    })
}

/// The status that makes the node Ready.
pub(crate) fn status(cpu: &str, memory: &str, pods: u32, now: Timestamp) -> Value {
    let resources = json!({"cpu": cpu, "memory": memory, "pods": pods.to_string(), "ephemeral-storage": "100Gi"});
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "hollow node",
            "lastHeartbeatTime": seconds(now), "lastTransitionTime": seconds(now)})
    };
    json!({"status": {
        "capacity": resources, "allocatable": resources,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            condition("Ready", "True", "KubeletReady"),
        ],
        "nodeInfo": {"machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "hollow", "osImage": "hollow",
            "containerRuntimeVersion": "hollow://0", "kubeletVersion": concat!("v1.36.0-hollow-", env!("CARGO_PKG_VERSION")),
            "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64"},
    }})
}

/// The node's Lease, renewed at `now`.
pub(crate) fn lease(name: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": format!("{now:.6}")},
    })
}

/// Whole seconds, as the API's times are.
pub(crate) fn seconds(now: Timestamp) -> String {
    format!("{now:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_forms_of_the_api() {
        let now: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        assert_eq!(seconds(now), "2026-01-02T03:04:05Z");
        assert_eq!(lease("n", now)["spec"]["renewTime"], "2026-01-02T03:04:05.123456Z");
    }
}
