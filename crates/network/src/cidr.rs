//! Which address ranges an instance uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::rtnl::Rtnl;

/// The instance that needs no name.
const DEFAULT_INSTANCE: &str = "default";
/// Second octet of the default instance's pod range; its services follow.
const DEFAULT_OCTET: u8 = 42;
/// Second octets for all other instances, in pairs: even for pods, odd for services.
const FIRST_OCTET: u8 = 64;
const PAIRS: u8 = 96;

/// The pod and the service range (a /16 each) of `instance` on a machine that already has `existing` routes.
///
/// The default instance gets 10.42.0.0/16 and 10.43.0.0/16 unless a route collides; others hash into free ranges, so
/// that the same name usually gets the same ranges. `None` when every candidate collides.
#[must_use]
pub fn choose_cidrs(instance: &str, existing: &[IpNet]) -> Option<(IpNet, IpNet)> {
    let preferred = (instance == DEFAULT_INSTANCE).then_some(DEFAULT_OCTET);
    let start = Sha256::digest(instance.as_bytes())[0] % PAIRS;
    let others = (0..PAIRS).map(|n| FIRST_OCTET + (start + n) % PAIRS * 2);
    preferred.into_iter().chain(others).map(|octet| (block(octet), block(octet + 1))).find(|(pods, services)| {
        !existing.iter().any(|route| route.prefix_len() > 0 && (overlap(route, pods) || overlap(route, services)))
    })
}

/// The first usable address of a range: the node's address towards its pods.
#[must_use]
pub fn first_address(cidr: &IpNet) -> IpAddr {
    nth_address(cidr, 1)
}

/// The `offset`th address of a range, counted from its network address.
pub(crate) fn nth_address(cidr: &IpNet, offset: u32) -> IpAddr {
    match cidr {
        IpNet::V4(net) => Ipv4Addr::from_bits(net.network().to_bits().wrapping_add(offset)).into(),
        IpNet::V6(net) => Ipv6Addr::from_bits(net.network().to_bits().wrapping_add(offset.into())).into(),
    }
}

/// The destinations that this machine routes already, loopback and local addresses included; for [`choose_cidrs`].
///
/// Blocks for the few microseconds of a kernel dump.
pub fn existing_routes() -> Result<Vec<IpNet>, Error> {
    let mut rtnl = Rtnl::open()?;
    let replies = rtnl.dump("list routes", RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    Ok(replies.iter().filter_map(destination).collect())
}

fn destination(reply: &RouteNetlinkMessage) -> Option<IpNet> {
    let RouteNetlinkMessage::NewRoute(route) = reply else { return None };
    if !matches!(route.header.address_family, AddressFamily::Inet | AddressFamily::Inet6) {
        return None;
    }
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::from(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::from(*address)),
        _ => None,
    })?;
    IpNet::new(address, route.header.destination_prefix_length).ok()
}

fn block(second_octet: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, second_octet, 0, 0), 16))
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(instance: &str, routes: &[&str]) -> Option<(String, String)> {
        let routes: Vec<IpNet> = routes.iter().map(|r| r.parse().unwrap()).collect();
        choose_cidrs(instance, &routes).map(|(pods, services)| (pods.to_string(), services.to_string()))
    }

    #[test]
    fn the_default_instance_has_the_usual_ranges() {
        let usual = Some(("10.42.0.0/16".into(), "10.43.0.0/16".into()));
        assert_eq!(choose("default", &[]), usual);
        assert_eq!(choose("default", &["0.0.0.0/0", "192.168.1.0/24", "::/0", "fe80::/64"]), usual);
    }

    #[test]
    fn collisions_move_an_instance() {
        for route in ["10.42.3.0/24", "10.43.0.1/32", "10.0.0.0/9"] {
            let (pods, _) = choose("default", &[route]).unwrap();
            assert_ne!(pods, "10.42.0.0/16", "{route}");
        }
        assert_eq!(choose("default", &["10.0.0.0/8"]), None);
    }

    #[test]
    fn other_instances_stay_apart() {
        let (first, _) = choose("alpha", &[]).unwrap();
        let (second, services) = choose("alpha", &[&first]).unwrap();
        assert_ne!(first, second);
        assert!(services != first && first != "10.42.0.0/16");
        assert_eq!(choose("alpha", &[]).unwrap().0, first);
    }

    #[test]
    fn addresses_count_from_the_network() {
        assert_eq!(first_address(&"10.42.7.0/24".parse().unwrap()).to_string(), "10.42.7.1");
        assert_eq!(nth_address(&"10.42.0.0/16".parse().unwrap(), 258).to_string(), "10.42.1.2");
        assert_eq!(first_address(&"fd00:42::/64".parse().unwrap()).to_string(), "fd00:42::1");
    }
}
