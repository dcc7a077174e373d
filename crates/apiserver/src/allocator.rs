//! What Services draw from: cluster addresses and node ports.
//!
//! What is taken is kept in memory, read once from the Services that are there. A write takes what it needs before it is
//! made and holds it through a [`Hold`]: dropped, it gives back what it took; kept, it gives back what is no longer needed.

mod addresses;
mod ports;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host::Entropy;
use serde_json::Value;

pub use addresses::{Family, ParseRangeError, Range};

use crate::objects::Objects;
use crate::strategy::Reservation;

/// The node ports unless configured otherwise.
pub const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

/// Something of which there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Address(IpAddr),
    Port(u16),
}

/// Why nothing could be taken, worded as upstream words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    #[error("provided IP is not in the valid range. The range of valid IPs is {0}")]
    AddressOutOfRange(String),
    #[error("provided IP is already allocated")]
    AddressTaken,
    #[error("provided port is not in the valid range. The range of valid ports is {}-{}", .0.start(), .0.end())]
    PortOutOfRange(RangeInclusive<u16>),
    #[error("provided port is already allocated")]
    PortTaken,
    #[error("range is full")]
    Full,
    #[error("no range of {0:?} addresses is configured")]
    NoRange(Family),
}

/// The pools of one cluster; clones share them.
#[derive(Debug, Clone)]
pub struct Allocators(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    /// At most one for each family, the primary one first.
    ranges: Vec<Range>,
    ports: RangeInclusive<u16>,
    taken: Mutex<Taken>,
}

/// What is taken, by which Service (`namespace/name`).
#[derive(Debug, Default)]
struct Taken {
    loaded: bool,
    owners: BTreeMap<Item, Arc<str>>,
}

impl Allocators {
    /// Pools for the Service ranges (`10.43.0.0/16`, the primary first) and node ports.
    ///
    /// # Errors
    /// When a range is no CIDR.
    pub fn new(cidrs: &[String], ports: RangeInclusive<u16>) -> Result<Self, ParseRangeError> {
        let ranges = cidrs.iter().map(|cidr| cidr.parse()).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Pools { ranges, ports, taken: Mutex::default() })))
    }

    /// The address families that Services can have, the primary one first.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.0.ranges.iter().map(Range::family).collect()
    }

    /// Begins to take things for the Service `owner`. The first call reads what is taken from the Services in `objects`.
    #[must_use]
    pub fn hold(&self, objects: &Objects, owner: &str) -> Hold {
        let mut taken = self.taken();
        if !taken.loaded {
            taken.load(objects.list("", "services", "").iter().map(|entry| entry.value()));
        }
        Hold { allocators: self.clone(), owner: owner.into(), took: Vec::new(), gives: Vec::new(), kept: false }
    }

    /// Gives back what a deleted Service had.
    pub fn release(&self, owner: &str, service: &Value) {
        let mut taken = self.taken();
        items(service).for_each(|item| taken.remove(item, owner));
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn range(&self, family: Family) -> Result<&Range, AllocationError> {
        let range = self.0.ranges.iter().find(|range| range.family() == family);
        range.ok_or(AllocationError::NoRange(family))
    }
}

impl Taken {
    fn load(&mut self, services: impl Iterator<Item = Value>) {
        for service in services {
            let owner = owner_of(&service);
            self.owners.extend(items(&service).map(|item| (item, Arc::from(owner.as_str()))));
        }
        self.loaded = true;
    }

    fn remove(&mut self, item: Item, owner: &str) {
        if self.owners.get(&item).is_some_and(|other| **other == *owner) {
            self.owners.remove(&item);
        }
    }
}

/// What a write has taken and will give back.
#[derive(Debug)]
pub struct Hold {
    allocators: Allocators,
    owner: Arc<str>,
    took: Vec<Item>,
    gives: Vec<Item>,
    kept: bool,
}

impl Hold {
    /// Takes a certain address.
    ///
    /// # Errors
    /// When it is taken or outside of the range.
    pub fn take_address(&mut self, address: IpAddr) -> Result<(), AllocationError> {
        let range = self.allocators.range(Family::of(address))?;
        if !range.contains(address) {
            return Err(AllocationError::AddressOutOfRange(range.to_string()));
        }
        if self.take(Item::Address(address)) { Ok(()) } else { Err(AllocationError::AddressTaken) }
    }

    /// Takes any address of a family.
    ///
    /// # Errors
    /// When there is none.
    pub fn next_address(&mut self, family: Family, entropy: &dyn Entropy) -> Result<IpAddr, AllocationError> {
        let range = self.allocators.range(family)?.clone();
        let address = {
            let taken = self.allocators.taken();
            range.candidates(entropy).find(|address| !taken.owners.contains_key(&Item::Address(*address)))
        };
        let address = address.ok_or(AllocationError::Full)?;
        self.take_address(address).map(|()| address)
    }

    /// Takes a certain port. The Service that has it may have it again, for another protocol.
    ///
    /// # Errors
    /// When it is taken or outside of the range.
    pub fn take_port(&mut self, port: u16) -> Result<(), AllocationError> {
        let range = &self.allocators.0.ports;
        if !range.contains(&port) {
            return Err(AllocationError::PortOutOfRange(range.clone()));
        }
        if self.take(Item::Port(port)) { Ok(()) } else { Err(AllocationError::PortTaken) }
    }

    /// Takes any port.
    ///
    /// # Errors
    /// When there is none.
    pub fn next_port(&mut self, entropy: &dyn Entropy) -> Result<u16, AllocationError> {
        let port = {
            let taken = self.allocators.taken();
            ports::candidates(&self.allocators.0.ports, entropy)
                .find(|port| !taken.owners.contains_key(&Item::Port(*port)))
        };
        let port = port.ok_or(AllocationError::Full)?;
        self.take_port(port).map(|()| port)
    }

    /// Gives an item back once the write is made.
    pub fn give(&mut self, item: Item) {
        self.gives.push(item);
    }

    fn take(&mut self, item: Item) -> bool {
        let mut taken = self.allocators.taken();
        match taken.owners.get(&item) {
            Some(owner) => *owner == self.owner,
            None => {
                taken.owners.insert(item, self.owner.clone());
                self.took.push(item);
                true
            }
        }
    }
}

impl Reservation for Hold {
    fn commit(mut self: Box<Self>) {
        self.kept = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let back = if self.kept { &self.gives } else { &self.took };
        let mut taken = self.allocators.taken();
        back.iter().for_each(|item| taken.remove(*item, &self.owner));
    }
}

/// The name under which a Service owns what it has.
#[must_use]
pub fn owner_of(service: &Value) -> String {
    format!("{}/{}", object::meta::namespace(service), object::meta::name(service))
}

/// Everything that a Service has from the pools.
pub fn items(service: &Value) -> impl Iterator<Item = Item> {
    let spec = &service["spec"];
    let addresses = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
    let ports = ports.chain([&spec["healthCheckNodePort"]]).filter_map(Value::as_u64);
    addresses
        .filter_map(|address| address.parse().ok().map(Item::Address))
        .chain(ports.filter(|port| *port != 0).filter_map(|port| u16::try_from(port).ok().map(Item::Port)))
}

#[cfg(test)]
mod tests {
    use host::SeededEntropy;
    use serde_json::json;

    use super::*;

    fn hold(allocators: &Allocators, owner: &str) -> Hold {
        allocators.taken().loaded = true;
        Hold { allocators: allocators.clone(), owner: owner.into(), took: Vec::new(), gives: Vec::new(), kept: false }
    }

    fn pools(cidr: &str, ports: RangeInclusive<u16>) -> Allocators {
        Allocators::new(&[cidr.to_owned()], ports).unwrap()
    }

    #[test]
    fn every_address_is_handed_out_once() {
        let (allocators, entropy) = (pools("10.0.0.0/28", NODE_PORTS), SeededEntropy::new(1));
        let mut first = hold(&allocators, "a/a");
        let mut all: Vec<_> = (0..14).map(|_| first.next_address(Family::IPv4, &entropy).unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 14);
        let mut second = hold(&allocators, "b/b");
        assert_eq!(second.next_address(Family::IPv4, &entropy), Err(AllocationError::Full));
        assert_eq!(second.take_address(all[0]), Err(AllocationError::AddressTaken));
        drop(first);
        assert_eq!(second.take_address(all[0]), Ok(()));
    }

    #[test]
    fn what_is_kept_stays_taken_until_released() {
        let allocators = pools("10.0.0.0/24", 30_000..=30_001);
        let mut first = hold(&allocators, "a/a");
        first.take_port(30_000).unwrap();
        first.take_port(30_000).unwrap();
        Box::new(first).commit();
        assert_eq!(hold(&allocators, "b/b").take_port(30_000), Err(AllocationError::PortTaken));
        let service = json!({"metadata": {"namespace": "a", "name": "a"}, "spec": {"ports": [{"nodePort": 30_000}]}});
        allocators.release("b/b", &service);
        assert_eq!(hold(&allocators, "b/b").take_port(30_000), Err(AllocationError::PortTaken));
        allocators.release("a/a", &service);
        assert_eq!(hold(&allocators, "b/b").take_port(30_000), Ok(()));
    }

    #[test]
    fn ranges_are_kept_to() {
        let allocators = pools("10.0.0.0/24", 30_000..=30_001);
        let mut hold = hold(&allocators, "a/a");
        for outside in ["10.0.0.0", "10.0.0.255", "10.0.1.1"] {
            let error = hold.take_address(outside.parse().unwrap()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "provided IP is not in the valid range. The range of valid IPs is 10.0.0.0/24"
            );
        }
        let error = hold.take_port(80).unwrap_err();
        assert_eq!(
            error.to_string(),
            "provided port is not in the valid range. The range of valid ports is 30000-30001"
        );
        assert_eq!(hold.take_address("fd00::1".parse().unwrap()), Err(AllocationError::NoRange(Family::IPv6)));
    }
}
