//! What a hollow node does about one pod: a pure decision.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use crate::node::seconds;

/// What to send to the API server about a pod.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Nothing: the pod is as it should be, or over.
    None,
    /// This patch of its status.
    Report(Value),
    /// It is being deleted, and nothing of it is left here.
    Remove,
}

/// The action that brings `pod` on a hollow node further.
pub(crate) fn step(pod: &Pod, now: Timestamp) -> Action {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending");
    if pod.metadata.deletion_timestamp.is_some() {
        return Action::Remove;
    }
    match phase {
        "Pending" => Action::Report(running(pod, now)),
        _ => Action::None,
    }
}

fn running(pod: &Pod, now: Timestamp) -> Value {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let ip = address(uid).to_string();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": seconds(now)});
    let conditions =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    json!({"metadata": {"uid": uid}, "status": {
        "phase": "Running", "startTime": seconds(now), "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": conditions,
        "containerStatuses": containers.map(|c| container(c, now)).collect::<Vec<_>>(),
    }})
}

fn container(container: &Container, now: Timestamp) -> Value {
    json!({
        "name": container.name, "image": container.image, "imageID": "", "containerID": "hollow://0",
        "ready": true, "started": true, "restartCount": 0, "state": {"running": {"startedAt": seconds(now)}},
    })
}

/// An address in a range nobody routes, the same for the same pod.
fn address(uid: &str) -> Ipv4Addr {
    let digest = uid.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(198, 18, 0, 0)) | (digest & 0x0001_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pod: Value, expected: &str) {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let action = match step(&pod, Timestamp::UNIX_EPOCH) {
            Action::None => "none".to_owned(),
            Action::Report(patch) => format!("report {}", patch["status"]["phase"]),
            Action::Remove => "remove".to_owned(),
        };
        assert_eq!(action, expected);
    }

    #[test]
    fn steps() {
        let meta = json!({"name": "p", "uid": "u"});
        let deleted = json!({"name": "p", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        let spec = json!({"containers": [{"name": "c", "image": "i"}]});
        check(json!({"metadata": meta, "spec": spec}), "report \"Running\"");
        check(json!({"metadata": meta, "spec": spec, "status": {"phase": "Running"}}), "none");
        check(json!({"metadata": meta, "spec": spec, "status": {"phase": "Succeeded"}}), "none");
        check(json!({"metadata": deleted, "spec": spec, "status": {"phase": "Running"}}), "remove");
    }

    #[test]
    fn a_pod_keeps_its_address() {
        assert_eq!(address("a"), address("a"));
        assert_ne!(address("a"), address("b"));
        assert_eq!(address("a").octets()[0], 198);
    }
}
