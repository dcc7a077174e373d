//! Kernel parameters of a pod: only those that are the pod's own and do no harm beside it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Sysctl;

use crate::pod::desired::Desired;

/// What upstream's kubelet allows unasked.
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// The pod's parameters for its sandbox. What [`forbidden`] speaks of never gets this far, and would not pass.
pub(super) fn of(desired: &Desired) -> BTreeMap<String, String> {
    let allowed = given(desired).filter(|sysctl| check(desired, &name(sysctl)).is_ok());
    allowed.map(|sysctl| (name(sysctl), sysctl.value.clone())).collect()
}

/// Why the pod must not run here, in upstream's words.
#[must_use]
pub fn forbidden(desired: &Desired) -> Option<String> {
    let why = given(desired).find_map(|sysctl| check(desired, &name(sysctl)).err())?;
    Some(format!("forbidden sysctl: {why}"))
}

fn given(desired: &Desired) -> impl Iterator<Item = &Sysctl> {
    let context = desired.spec().security_context.as_ref();
    context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten()
}

/// Slashes may stand for dots.
fn name(sysctl: &Sysctl) -> String {
    sysctl.name.replace('/', ".")
}

/// In a namespace of the node's the parameter would be the node's.
fn check(desired: &Desired, name: &str) -> Result<(), String> {
    if !SAFE.contains(&name) {
        return Err(format!("{name:?} not allowlisted"));
    }
    if name.starts_with("net.") && desired.host_network() {
        return Err(format!("{name:?} not allowed with host Net enabled"));
    }
    if name.starts_with("kernel.shm") && desired.spec().host_ipc.unwrap_or(false) {
        return Err(format!("{name:?} not allowed with host IPC enabled"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};
    use std::sync::Arc;

    #[track_caller]
    fn check(names: &[&str], host: &str, expected: Option<&str>) {
        let sysctls: Vec<Value> = names.iter().map(|name| json!({"name": name, "value": "1"})).collect();
        let spec = json!({"containers": [], host: true, "securityContext": {"sysctls": sysctls}});
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let desired = Desired::new(Arc::new(pod));
        assert_eq!(forbidden(&desired).as_deref(), expected);
        assert_eq!(of(&desired).len(), names.len() - usize::from(expected.is_some()));
    }

    #[test]
    fn only_safe_ones_in_own_namespaces() {
        check(&[], "hostNetwork", None);
        check(&SAFE, "hostPID", None);
        check(&["net/ipv4/tcp_rmem"], "hostPID", None);
        check(&["kernel.shm_rmid_forced"], "hostNetwork", None);
        check(&["net.ipv4.tcp_rmem"], "hostIPC", None);
        let not_listed = "forbidden sysctl: \"kernel.msgmax\" not allowlisted";
        check(&["net.ipv4.tcp_rmem", "kernel.msgmax"], "hostPID", Some(not_listed));
        let net = "forbidden sysctl: \"net.ipv4.tcp_rmem\" not allowed with host Net enabled";
        check(&["net/ipv4/tcp_rmem"], "hostNetwork", Some(net));
        let ipc = "forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host IPC enabled";
        check(&["kernel.shm_rmid_forced"], "hostIPC", Some(ipc));
    }
}
