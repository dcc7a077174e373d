//! Tables of ingress, policies and service addresses.

use serde_json::Value;

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static INGRESS_CLASSES: &[Column] = &[
    Column::text_named("Name", |o, _| read::marked(o, &["ingressclass.kubernetes.io/is-default-class"]).into()),
    Column::path("Controller", "spec.controller"),
    Column::text("Parameters", |o, _| parameters(o).into()),
    Column::age(),
];

pub(super) static INGRESSES: &[Column] = &[
    Column::name(),
    Column::text("Class", |o, _| read::text_or(o, "spec.ingressClassName", NONE).into()),
    Column::text("Hosts", |o, _| hosts(o).into()),
    Column::text("Address", |o, _| super::service::load_balancer(o).into()),
    Column::text("Ports", |o, _| if read::length(o, "spec.tls") > 0 { "80, 443".into() } else { "80".into() }),
    Column::age(),
];

pub(super) static NETWORK_POLICIES: &[Column] =
    &[Column::name(), Column::text("Pod-Selector", |o, _| read::selector(o, "spec.podSelector").into()), Column::age()];

pub(super) static IP_ADDRESSES: &[Column] = &[Column::name(), Column::text("ParentRef", |o, _| parent(o).into())];

pub(super) static SERVICE_CIDRS: &[Column] =
    &[Column::name(), Column::text("CIDRs", |o, _| read::joined(o, "spec.cidrs", ",").into()), Column::age()];

/// Hosts beyond these are only counted.
const SHOWN_HOSTS: usize = 3;

fn hosts(ingress: &Value) -> String {
    let rules = read::list(ingress, "spec.rules");
    let hosts: Vec<&str> =
        rules.iter().map(|r| read::text(r, "host")).filter(|h| !h.is_empty()).take(SHOWN_HOSTS).collect();
    match (hosts.is_empty(), rules.len().saturating_sub(SHOWN_HOSTS)) {
        (true, _) => "*".to_owned(),
        (false, more) if more > 0 && hosts.len() == SHOWN_HOSTS => format!("{} + {more} more...", hosts.join(",")),
        (false, _) => hosts.join(","),
    }
}

fn parameters(class: &Value) -> String {
    let (kind, name) = (read::text(class, "spec.parameters.kind"), read::text(class, "spec.parameters.name"));
    if kind.is_empty() {
        return NONE.to_owned();
    }
    let group = read::text(class, "spec.parameters.apiGroup");
    if group.is_empty() { format!("{kind}/{name}") } else { format!("{kind}.{group}/{name}") }
}

fn parent(address: &Value) -> String {
    let part = |field: &str| read::text(address, &format!("spec.parentRef.{field}"));
    if !read::at(address, "spec.parentRef").is_some_and(Value::is_object) {
        return NONE.to_owned();
    }
    let resource = object::qualified_resource(part("group"), part("resource")).to_lowercase();
    let namespace = Some(part("namespace")).filter(|namespace| !namespace.is_empty());
    let parts: Vec<&str> = [Some(&*resource), namespace, Some(part("name"))].into_iter().flatten().collect();
    parts.join("/")
}
