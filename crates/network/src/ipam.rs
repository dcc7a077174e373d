//! Which addresses of the node's pod ranges are taken.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::Error;
use crate::cidr::nth_address;

/// The network address and the gateway are never given to pods.
const FIRST: u32 = 2;

/// Hands out the same offset in every range. An address is used again as late as possible, so that a peer that still
/// talks to a pod that is gone meets silence rather than another pod.
#[derive(Debug)]
pub(crate) struct Ipam {
    cidrs: Vec<IpNet>,
    taken: BTreeSet<u32>,
    next: u32,
    end: u32,
}

impl Ipam {
    pub(crate) fn new(cidrs: &[IpNet]) -> Self {
        let end = cidrs.iter().map(end).min().unwrap_or(FIRST);
        Self { cidrs: cidrs.to_vec(), taken: BTreeSet::new(), next: FIRST, end }
    }

    /// Takes the next free offset.
    pub(crate) fn take(&mut self) -> Result<u32, Error> {
        let free = (self.next..self.end).chain(FIRST..self.next).find(|offset| !self.taken.contains(offset));
        let Some(offset) = free else { return Err(Error::Exhausted(self.ranges())) };
        self.taken.insert(offset);
        self.next = offset + 1;
        Ok(offset)
    }

    /// Takes the offset of an address that is in use already; `None` when it is in none of the ranges.
    pub(crate) fn claim(&mut self, addresses: &[IpAddr]) -> Option<u32> {
        let offset = addresses.iter().find_map(|address| self.offset(*address))?;
        self.taken.insert(offset);
        self.next = self.next.max(offset + 1);
        Some(offset)
    }

    pub(crate) fn release(&mut self, offset: u32) {
        self.taken.remove(&offset);
    }

    pub(crate) fn addresses(&self, offset: u32) -> Vec<IpAddr> {
        self.cidrs.iter().map(|cidr| nth_address(cidr, offset)).collect()
    }

    fn offset(&self, address: IpAddr) -> Option<u32> {
        let cidr = self.cidrs.iter().find(|cidr| cidr.contains(&address))?;
        let offset = match (address, cidr) {
            (IpAddr::V4(address), IpNet::V4(net)) => address.to_bits() - net.network().to_bits(),
            (IpAddr::V6(address), IpNet::V6(net)) => (address.to_bits() - net.network().to_bits()).try_into().ok()?,
            _ => return None,
        };
        (FIRST..self.end).contains(&offset).then_some(offset)
    }

    fn ranges(&self) -> String {
        self.cidrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// One past the last usable offset: the broadcast address of an IPv4 range is left out.
fn end(cidr: &IpNet) -> u32 {
    let bits = u32::from(cidr.max_prefix_len() - cidr.prefix_len()).min(31);
    let size = 1u32 << bits;
    if cidr.addr().is_ipv4() { size - 1 } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ipam(cidrs: &[&str]) -> Ipam {
        Ipam::new(&cidrs.iter().map(|c| c.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_small_range_is_used_whole_and_no_more() {
        let mut ipam = ipam(&["10.42.0.0/29"]);
        let taken: Vec<String> =
            (0..5).map(|_| ipam.take().map(|o| ipam.addresses(o)[0].to_string()).unwrap()).collect();
        assert_eq!(taken, ["10.42.0.2", "10.42.0.3", "10.42.0.4", "10.42.0.5", "10.42.0.6"]);
        assert_eq!(
            ipam.take().unwrap_err().to_string(),
            "no free address in 10.42.0.0/29: every address is held by a pod"
        );
        ipam.release(4);
        assert_eq!(ipam.take().unwrap(), 4);
    }

    #[test]
    fn a_released_address_rests() {
        let mut ipam = ipam(&["10.42.0.0/24"]);
        let first = ipam.take().unwrap();
        ipam.release(first);
        assert_ne!(ipam.take().unwrap(), first);
    }

    #[test]
    fn both_families_share_the_offset() {
        let mut ipam = ipam(&["10.42.0.0/24", "fd00::/64"]);
        let offset = ipam.take().unwrap();
        assert_eq!(ipam.addresses(offset), ["10.42.0.2".parse::<IpAddr>().unwrap(), "fd00::2".parse().unwrap()]);
        assert_eq!(ipam.claim(&["fd00::9".parse().unwrap()]), Some(9));
        assert_eq!(ipam.claim(&["10.9.0.9".parse().unwrap()]), None);
        assert_eq!(ipam.claim(&["10.42.0.1".parse().unwrap()]), None, "the gateway is nobody's");
    }

    proptest! {
        #[test]
        fn no_address_is_held_twice(steps in proptest::collection::vec((any::<bool>(), 0usize..64), 0..200)) {
            let mut ipam = ipam(&["10.42.0.0/26"]);
            let mut held: Vec<u32> = Vec::new();
            for (take, pick) in steps {
                if take {
                    if let Ok(offset) = ipam.take() {
                        prop_assert!(!held.contains(&offset));
                        held.push(offset);
                    } else {
                        prop_assert_eq!(held.len(), 61);
                    }
                } else if !held.is_empty() {
                    ipam.release(held.swap_remove(pick % held.len()));
                }
            }
        }
    }
}
