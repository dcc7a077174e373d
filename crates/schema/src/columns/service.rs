//! The tables of services and endpoints.

use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static SERVICES: &[Column] = &[
    Column::name(),
    Column::path("Type", "spec.type"),
    Column::text("Cluster-IP", |o, _| read::text_or(o, "spec.clusterIP", NONE).into()),
    Column::text("External-IP", |o, _| external_addresses(o).into()),
    Column::text("Port(s)", |o, _| ports(o).into()),
    Column::age(),
    Column::text("Selector", |o, _| read::labels(o, "spec.selector").into()).wide(),
];

pub(super) static ENDPOINTS: &[Column] =
    &[Column::name(), Column::text("Endpoints", |o, _| endpoints(o).into()), Column::age()];

fn external_addresses(service: &Value) -> String {
    let external = read::joined(service, "spec.externalIPs", ",");
    match read::text(service, "spec.type") {
        "ClusterIP" | "NodePort" if external.is_empty() => NONE.to_owned(),
        "ClusterIP" | "NodePort" => external,
        "LoadBalancer" => match (load_balancer(service), external.is_empty()) {
            (balancer, true) if balancer.is_empty() => "<pending>".to_owned(),
            (balancer, true) => balancer,
            (balancer, false) if balancer.is_empty() => external,
            (balancer, false) => format!("{balancer},{external}"),
        },
        "ExternalName" => read::text(service, "spec.externalName").to_owned(),
        _ => read::UNKNOWN.to_owned(),
    }
}

/// Addresses or names of the load balancer, sorted.
pub(super) fn load_balancer(object: &Value) -> String {
    let ingress = read::list(object, "status.loadBalancer.ingress");
    let mut addresses: Vec<&str> =
        ingress.iter().map(|i| read::text_or(i, "ip", read::text(i, "hostname"))).filter(|a| !a.is_empty()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(",")
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| {
        let (number, protocol) = (read::integer(port, "port"), read::text(port, "protocol"));
        match read::integer(port, "nodePort") {
            0 => format!("{number}/{protocol}"),
            node => format!("{number}:{node}/{protocol}"),
        }
    };
    let ports: Vec<String> = read::list(service, "spec.ports").iter().map(port).collect();
    if ports.is_empty() { NONE.to_owned() } else { ports.join(",") }
}

fn endpoints(object: &Value) -> String {
    let subsets = read::list(object, "subsets");
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let mut found = Vec::new();
    for subset in subsets {
        let addresses: Vec<&str> = read::list(subset, "addresses").iter().map(|a| read::text(a, "ip")).collect();
        let ports = read::list(subset, "ports");
        if ports.is_empty() {
            found.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
        for port in ports {
            found.extend(addresses.iter().map(|address| join_host_port(address, read::integer(port, "port"))));
        }
    }
    read::shortened(found)
}

fn join_host_port(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
