//! Which records one Service has: a pure function of the Service and its slices.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SRV};
use hickory_proto::rr::{Name, RData};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

/// SRV records all weigh the same.
const WEIGHT: u16 = 100;

/// A record under its name; without data, the name only exists.
pub type Entry = (Name, Option<RData>);

/// The records of `service`, whose endpoints are in `slices`, below `domain`. Names that are no DNS names have none.
#[must_use]
pub fn records(service: &Service, slices: &[impl AsRef<EndpointSlice>], domain: &Name) -> Vec<Entry> {
    let (Some(name), Some(namespace)) = (&service.metadata.name, &service.metadata.namespace) else {
        return Vec::new();
    };
    let Some(spec) = &service.spec else { return Vec::new() };
    let Some(owner) =
        child(domain, "svc").and_then(|svc| child(&svc, namespace)).and_then(|name_space| child(&name_space, name))
    else {
        return Vec::new();
    };
    if spec.type_.as_deref() == Some("ExternalName") {
        return alias(owner, spec.external_name.as_deref().unwrap_or_default());
    }
    match spec.cluster_ip.as_deref() {
        None | Some("") => Vec::new(),
        Some("None") => headless(&owner, slices),
        Some(first) => {
            let all = spec.cluster_ips.as_deref().filter(|ips| !ips.is_empty());
            let addresses: Vec<IpAddr> = match all {
                Some(all) => all.iter().filter_map(|text| text.parse().ok()).collect(),
                None => first.parse().into_iter().collect(),
            };
            let ports = spec.ports.iter().flatten();
            let named = ports.map(|port| (port.name.as_deref(), port.protocol.as_deref(), port.port));
            clustered(&owner, &addresses, named)
        }
    }
}

/// A data record for an address.
pub(crate) fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

/// `label` below `parent`; `None` when it is no label or the name gets too long.
pub(crate) fn child(parent: &Name, label: &str) -> Option<Name> {
    parent.prepend_label(label.as_bytes()).ok()
}

fn alias(owner: Name, target: &str) -> Vec<Entry> {
    match Name::from_ascii(target) {
        Ok(mut target) if !target.is_root() => {
            target.set_fqdn(true);
            vec![(owner, Some(RData::CNAME(CNAME(target))))]
        }
        _ => Vec::new(),
    }
}

/// Addresses of the Service's own.
fn clustered<'a>(
    owner: &Name,
    addresses: &[IpAddr],
    ports: impl Iterator<Item = (Option<&'a str>, Option<&'a str>, i32)>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for address in addresses {
        entries.push((owner.clone(), Some(address_data(*address))));
        entries.push((Name::from(*address), Some(RData::PTR(PTR(owner.clone())))));
    }
    for (name, protocol, port) in ports {
        entries.extend(service_record(owner, name, protocol, port, owner));
    }
    entries
}

/// The addresses of the endpoints, each also under a name of its own.
fn headless(owner: &Name, slices: &[impl AsRef<EndpointSlice>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut seen = BTreeSet::new();
    for slice in slices.iter().map(AsRef::as_ref) {
        let ports: &[EndpointPort] = slice.ports.as_deref().unwrap_or_default();
        for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint)) {
            for address in endpoint.addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok()) {
                let Some(own) = child(owner, &hostname(endpoint, address)) else { continue };
                if seen.insert(address) {
                    entries.push((owner.clone(), Some(address_data(address))));
                    entries.push((own.clone(), Some(address_data(address))));
                    entries.push((Name::from(address), Some(RData::PTR(PTR(own.clone())))));
                }
                for port in ports {
                    let (name, protocol) = (port.name.as_deref(), port.protocol.as_deref());
                    entries.extend(service_record(owner, name, protocol, port.port.unwrap_or(0), &own));
                }
            }
        }
    }
    let mut unique = BTreeSet::new();
    entries.retain(|(name, data)| unique.insert((name.to_ascii(), format!("{data:?}"))));
    entries
}

/// Conditions that are not there count as ready, the API says.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// The label of an endpoint: its hostname, or its address with dashes.
fn hostname(endpoint: &Endpoint, address: IpAddr) -> String {
    let given = endpoint.hostname.as_deref().filter(|hostname| !hostname.is_empty());
    given.map_or_else(|| address.to_string().replace(['.', ':'], "-"), str::to_owned)
}

/// `_port._protocol.owner`; unnamed ports have none.
fn service_record(
    owner: &Name,
    port: Option<&str>,
    protocol: Option<&str>,
    number: i32,
    target: &Name,
) -> Option<Entry> {
    let port = port.filter(|port| !port.is_empty())?;
    let protocol = protocol.unwrap_or("TCP").to_ascii_lowercase();
    let name = child(owner, &format!("_{protocol}")).and_then(|below| child(&below, &format!("_{port}")))?;
    let number = u16::try_from(number).ok()?;
    Some((name, Some(RData::SRV(SRV::new(0, WEIGHT, number, target.clone())))))
}
