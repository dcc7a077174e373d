//! Endpoints.

use std::net::IpAddr;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::field::{At, one_of, plain_ip, port, required_name, well_formed};
use super::pod::warnings::address as address_warning;
use super::{Context, Strategy};

pub(super) struct Endpoints;

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const LISTS: [&str; 2] = ["addresses", "notReadyAddresses"];

impl Strategy for Endpoints {
    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        At::root(object).at("subsets").items().for_each(|subset| check(&subset, &mut errors));
        errors
    }

    /// What older servers have accepted may stay.
    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if object["subsets"] == old["subsets"] { ErrorList::new() } else { self.validate(cx, object) }
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let mut all = Vec::new();
        if object["metadata"]["labels"][MANAGED_BY] == "endpoint-controller" {
            return all;
        }
        for subset in At::root(object).at("subsets").items() {
            for address in LISTS.iter().flat_map(|list| subset.at(list).items()) {
                address_warning(&address.at("ip"), &mut all);
            }
        }
        all
    }
}

fn check(subset: &At<'_>, errors: &mut ErrorList) {
    if LISTS.iter().all(|list| subset.at(list).is_empty()) {
        errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
    }
    LISTS.iter().flat_map(|list| subset.at(list).items()).for_each(|at| check_address(&at, errors));
    let several = subset.at("ports").items().count() > 1;
    for entry in subset.at("ports").items() {
        let (name, protocol) = (entry.at("name"), entry.at("appProtocol"));
        if several || !name.is_empty() {
            required_name(&name, names::dns1123_label, errors);
        }
        port(&entry.at("port"), errors);
        one_of(&entry.at("protocol"), &["SCTP", "TCP", "UDP"], errors);
        if protocol.is_set() {
            well_formed(&protocol, names::qualified_name, errors);
        }
    }
}

fn check_address(at: &At<'_>, errors: &mut ErrorList) {
    let (ip, host, node) = (at.at("ip"), at.at("hostname"), at.at("nodeName"));
    plain_ip(&ip, &[], errors);
    if !host.is_empty() {
        well_formed(&host, names::dns1123_label, errors);
    }
    if node.is_set() {
        well_formed(&node, names::dns1123_subdomain, errors);
    }
    reachable(&ip, errors);
}

/// Must be an address that something else can be reached at.
pub(super) fn reachable(ip: &At<'_>, errors: &mut ErrorList) {
    let Some(address) = names::parse_ip(ip.text()) else {
        errors.push(Error::invalid(&ip.path, ip.text(), "must be a valid IP address"));
        return;
    };
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let (local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02),
    };
    let detail = if address.is_unspecified() {
        format!("may not be unspecified ({})", ip.text())
    } else if address.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
    } else if local {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
    } else if multicast {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
    } else {
        return;
    };
    errors.push(ip.invalid(detail));
}
