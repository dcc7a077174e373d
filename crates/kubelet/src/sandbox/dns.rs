//! Name resolution in pods: DNS policies and what becomes of them in resolv.conf.

use std::net::IpAddr;

use crate::pod::desired::Desired;

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// The cluster's names.
#[derive(Debug, Clone, Default)]
pub struct ClusterDns {
    pub servers: Vec<IpAddr>,
    pub domain: String,
}

/// Reads what resolv.conf says.
#[must_use]
pub fn parse(text: &str) -> cri::DNSConfig {
    let mut config = cri::DNSConfig::default();
    for line in text.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => config.servers.extend(words.next().map(str::to_owned)),
            Some("search") => config.searches = words.map(|word| word.trim_end_matches('.').to_owned()).collect(),
            Some("options") => config.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    config.searches.retain(|search| !search.is_empty());
    config
}

/// What the pod's resolv.conf is to say, where `host` is what the node's says.
#[must_use]
pub fn config(desired: &Desired, cluster: &ClusterDns, host: &cri::DNSConfig) -> cri::DNSConfig {
    let policy = desired.spec().dns_policy.as_deref().unwrap_or("ClusterFirst");
    let mut config = match policy {
        "None" => cri::DNSConfig::default(),
        "ClusterFirstWithHostNet" => cluster_first(desired, cluster, host),
        "ClusterFirst" if !desired.host_network() => cluster_first(desired, cluster, host),
        _ => host.clone(),
    };
    amend(desired, &mut config);
    config.servers.truncate(MAX_SERVERS);
    limit_searches(&mut config.searches);
    config
}

fn cluster_first(desired: &Desired, cluster: &ClusterDns, host: &cri::DNSConfig) -> cri::DNSConfig {
    if cluster.servers.is_empty() {
        return host.clone();
    }
    let mut searches = Vec::new();
    if !cluster.domain.is_empty() {
        let domain = &cluster.domain;
        searches = vec![format!("{}.svc.{domain}", desired.namespace()), format!("svc.{domain}"), domain.clone()];
    }
    add_missing(&mut searches, &host.searches);
    cri::DNSConfig {
        servers: cluster.servers.iter().map(ToString::to_string).collect(),
        searches,
        options: vec!["ndots:5".into()],
    }
}

/// Adds what the pod's own dnsConfig says.
fn amend(desired: &Desired, config: &mut cri::DNSConfig) {
    let Some(own) = &desired.spec().dns_config else { return };
    add_missing(&mut config.servers, own.nameservers.as_deref().unwrap_or_default());
    add_missing(&mut config.searches, own.searches.as_deref().unwrap_or_default());
    for option in own.options.iter().flatten() {
        let Some(name) = &option.name else { continue };
        let text = match option.value.as_deref().filter(|value| !value.is_empty()) {
            Some(value) => format!("{name}:{value}"),
            None => name.clone(),
        };
        config.options.retain(|known| known.split(':').next() != Some(name));
        config.options.push(text);
    }
}

fn add_missing(list: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

fn limit_searches(searches: &mut Vec<String>) {
    searches.truncate(MAX_SEARCHES);
    let mut chars = 0;
    searches.retain(|search| {
        chars += search.len() + 1;
        chars <= MAX_SEARCH_CHARS + 1
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn check(spec: Value, servers: &[&str], searches: &[&str], options: &[&str]) {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "ns"}, "spec": spec})).unwrap();
        let cluster = ClusterDns { servers: vec!["10.43.0.10".parse().unwrap()], domain: "cluster.local".into() };
        let host = parse("# comment\nnameserver 9.9.9.9\nsearch corp.example. lan\noptions edns0\n");
        let got = config(&Desired::new(Arc::new(pod)), &cluster, &host);
        assert_eq!((got.servers.iter().map(String::as_str).collect::<Vec<_>>()), servers);
        assert_eq!((got.searches.iter().map(String::as_str).collect::<Vec<_>>()), searches);
        assert_eq!((got.options.iter().map(String::as_str).collect::<Vec<_>>()), options);
    }

    #[test]
    fn policies() {
        let cluster = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example", "lan"];
        check(json!({}), &["10.43.0.10"], &cluster, &["ndots:5"]);
        check(json!({"hostNetwork": true}), &["9.9.9.9"], &["corp.example", "lan"], &["edns0"]);
        let with_host = json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"});
        check(with_host, &["10.43.0.10"], &cluster, &["ndots:5"]);
        check(json!({"dnsPolicy": "Default"}), &["9.9.9.9"], &["corp.example", "lan"], &["edns0"]);
        let own = json!({"nameservers": ["1.1.1.1"], "searches": ["a.b"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]});
        check(json!({"dnsPolicy": "None", "dnsConfig": own}), &["1.1.1.1"], &["a.b"], &["ndots:2", "rotate"]);
        let all: Vec<&str> = cluster.iter().copied().chain(["a.b"]).collect();
        check(json!({"dnsConfig": own}), &["10.43.0.10", "1.1.1.1"], &all, &["ndots:2", "rotate"]);
    }
}
