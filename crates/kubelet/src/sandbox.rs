//! From a pod's spec to the sandbox that the runtime is asked to run. Pure.

pub mod dns;
pub mod hosts;
pub mod sysctls;

use std::collections::BTreeMap;

use crate::container::config::pod_labels;
use crate::container::resources;
use crate::container::security::{self, ProfileRoot};
use crate::pod::desired::Desired;

/// Everything a sandbox's configuration is made from.
#[derive(Debug)]
pub struct Recipe<'a> {
    pub desired: &'a Desired,
    pub attempt: u32,
    pub dns: cri::DNSConfig,
    pub log_directory: String,
    /// The pod's cgroup; empty leaves the choice to the runtime.
    pub cgroup_parent: String,
    pub cluster_domain: &'a str,
    pub node_name: &'a str,
    pub profiles: &'a ProfileRoot,
}

/// Builds the configuration.
#[must_use]
pub fn config(recipe: Recipe<'_>) -> cri::PodSandboxConfig {
    let Recipe { desired, .. } = recipe;
    let name = Hostname::of(desired, recipe.cluster_domain);
    let mut labels: BTreeMap<String, String> = desired.pod.metadata.labels.clone().unwrap_or_default();
    labels.extend(pod_labels(desired, recipe.node_name));
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: desired.name().to_owned(),
            uid: desired.uid().to_owned(),
            namespace: desired.namespace().to_owned(),
            attempt: recipe.attempt,
        }),
        hostname: if desired.host_network() { String::new() } else { name.shown(desired) },
        log_directory: recipe.log_directory,
        dns_config: Some(recipe.dns),
        port_mappings: if desired.host_network() { Vec::new() } else { port_mappings(desired) },
        labels,
        annotations: desired.pod.metadata.annotations.clone().unwrap_or_default(),
        linux: Some(cri::LinuxPodSandboxConfig {
            cgroup_parent: recipe.cgroup_parent,
            security_context: Some(security::sandbox_context(desired.spec(), &[], recipe.profiles)),
            sysctls: sysctls::of(desired),
            overhead: None,
            resources: Some(resources::of_pod(&desired.pod)),
        }),
    }
}

/// The name of a pod's machine, and the domain it stands in where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname {
    pub host: String,
    pub domain: Option<String>,
}

impl Hostname {
    #[must_use]
    pub fn of(desired: &Desired, cluster_domain: &str) -> Self {
        let spec = desired.spec();
        let given = spec.hostname_override.as_deref().or(spec.hostname.as_deref()).filter(|name| !name.is_empty());
        let host = given.unwrap_or_else(|| desired.name());
        let host = match host.char_indices().nth(63) {
            Some((end, _)) => host[..end].trim_end_matches(['-', '.']),
            None => host,
        };
        let subdomain = spec.subdomain.as_deref().filter(|name| !name.is_empty());
        let domain = subdomain.map(|sub| format!("{sub}.{}.svc.{cluster_domain}", desired.namespace()));
        Self { host: host.to_owned(), domain }
    }

    /// What `hostname` says inside.
    fn shown(&self, desired: &Desired) -> String {
        match &self.domain {
            Some(domain) if desired.spec().set_hostname_as_fqdn.unwrap_or(false) => format!("{}.{domain}", self.host),
            _ => self.host.clone(),
        }
    }
}

fn port_mappings(desired: &Desired) -> Vec<cri::PortMapping> {
    let ports = desired.initial().chain(desired.of_kind(crate::pod::desired::Kind::App));
    ports
        .flat_map(|slot| slot.container.ports.iter().flatten())
        .map(|port| cri::PortMapping {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => cri::Protocol::Udp as i32,
                Some("SCTP") => cri::Protocol::Sctp as i32,
                _ => cri::Protocol::Tcp as i32,
            },
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or(0),
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn check(name: &str, spec: Value, expected: &str) {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec})).unwrap();
        let desired = Desired::new(Arc::new(pod));
        assert_eq!(Hostname::of(&desired, "cluster.local").shown(&desired), expected);
    }

    #[test]
    fn hostnames() {
        check("web-0", json!({}), "web-0");
        check("web-0", json!({"hostname": "db", "subdomain": "s"}), "db");
        check("web-0", json!({"subdomain": "s", "setHostnameAsFQDN": true}), "web-0.s.ns.svc.cluster.local");
        let long = format!("{}-tail", "a".repeat(62));
        check(&long, json!({}), &"a".repeat(62));
    }
}
