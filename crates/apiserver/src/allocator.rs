//! What Services draw from: cluster addresses and node ports.
//!
//! What is taken is kept in memory, read once from the Services that are there. A write takes what it needs before it is
//! made and holds it through a [`Hold`]: dropped, it gives back what it took; kept, it gives back what is no longer needed.
//! An address is also claimed in the store, as an IPAddress object, so that several servers cannot hand out the same.

mod addresses;
mod claims;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host::{Entropy, Host, OnEnd};
use schema::Table;
use serde_json::Value;

pub use addresses::{Family, ParseRangeError, Range};

use crate::objects::Objects;
use crate::storage::Storage;
use crate::strategy::Reservation;
use claims::{Claim, Claims};

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
    #[error("the provided IP ({0}) is not in the valid range. The range of valid IPs is {1}")]
    AddressOutOfRange(IpAddr, String),
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
    /// The claim could not be written.
    #[error("{0}")]
    Store(String),
}

/// The pools of one cluster; clones share them.
#[derive(Debug, Clone)]
pub struct Allocators(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    /// At most one for each family, the primary one first.
    ranges: Vec<Range>,
    ports: RangeInclusive<u16>,
    claims: Claims,
    taken: Mutex<Taken>,
}

/// What is taken, by which Service (`namespace/name`).
#[derive(Debug, Default)]
struct Taken {
    loaded: bool,
    owners: BTreeMap<Item, Arc<str>>,
    /// Addresses that were given back and whose claims are being withdrawn, by their last owner.
    leaving: BTreeMap<IpAddr, Arc<str>>,
}

impl Allocators {
    /// Pools for the Service ranges (`10.43.0.0/16`, the primary first) and node ports; claims are kept in `storage`,
    /// where `table` has them.
    ///
    /// # Errors
    /// When a range is no CIDR.
    pub fn new(
        cidrs: &[String],
        ports: RangeInclusive<u16>,
        storage: Storage,
        table: &Table,
    ) -> Result<Self, ParseRangeError> {
        let ranges = cidrs.iter().map(|cidr| cidr.parse()).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Pools { ranges, ports, claims: Claims::new(storage, table), taken: Mutex::default() })))
    }

    /// The address families that Services can have, the primary one first.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.0.ranges.iter().map(Range::family).collect()
    }

    /// Begins to take things for the Service `owner`; with `dry_run`, nothing is claimed in the store. The first call
    /// reads what is taken from the Services in `objects`.
    #[must_use]
    pub fn hold(&self, host: &Host, objects: &Objects, owner: &str, dry_run: bool) -> Hold {
        let mut taken = self.taken();
        if !taken.loaded {
            taken.load(objects.list("", "services", "").iter().map(|entry| entry.value()));
        }
        Hold {
            allocators: self.clone(),
            host: host.clone(),
            objects: objects.clone(),
            owner: owner.into(),
            dry_run,
            took: Vec::new(),
            gives: Vec::new(),
            kept: false,
        }
    }

    /// Gives back what a deleted Service had.
    pub fn release(&self, host: &Host, owner: &str, service: &Value) {
        items(service).for_each(|item| self.give_back(host, item, owner));
    }

    /// Frees an item that `owner` has; the claim of an address is withdrawn in the background.
    fn give_back(&self, host: &Host, item: Item, owner: &str) {
        let mut taken = self.taken();
        if taken.owners.get(&item).is_none_or(|other| **other != *owner) {
            return;
        }
        taken.owners.remove(&item);
        let Item::Address(address) = item else { return };
        let owner: Arc<str> = owner.into();
        taken.leaving.insert(address, owner.clone());
        drop(taken);
        let allocators = self.clone();
        host.tasks.spawn("address-withdrawal", OnEnd::Expected, async move {
            if let Err(error) = allocators.0.claims.withdraw(address, &owner).await {
                tracing::warn!(%address, %error, "cannot withdraw the claim of a cluster address");
            }
            allocators.taken().leaving.remove(&address);
        });
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
}

/// What a write has taken and will give back.
#[derive(Debug)]
pub struct Hold {
    allocators: Allocators,
    host: Host,
    objects: Objects,
    owner: Arc<str>,
    dry_run: bool,
    took: Vec<Item>,
    gives: Vec<Item>,
    kept: bool,
}

impl Hold {
    /// Takes a certain address.
    ///
    /// # Errors
    /// When it is taken or outside of the range.
    pub async fn take_address(&mut self, address: IpAddr) -> Result<(), AllocationError> {
        let range = self.allocators.range(Family::of(address))?;
        if !range.contains(address) {
            return Err(AllocationError::AddressOutOfRange(address, range.to_string()));
        }
        let item = Item::Address(address);
        let before = self.took.len();
        if !self.take(item) {
            return Err(AllocationError::AddressTaken);
        }
        if self.dry_run || self.took.len() == before {
            return Ok(());
        }
        match self.claim(address).await {
            Ok(Claim::Ours) => Ok(()),
            refused => {
                // It is not ours to give back.
                self.took.pop();
                self.allocators.taken().owners.remove(&item);
                refused.and(Err(AllocationError::AddressTaken))
            }
        }
    }

    /// Takes any address of a family.
    ///
    /// # Errors
    /// When there is none.
    pub async fn next_address(&mut self, family: Family, entropy: &dyn Entropy) -> Result<IpAddr, AllocationError> {
        let range = self.allocators.range(family)?.clone();
        let mut claimed_elsewhere = BTreeSet::new();
        loop {
            let address = {
                let taken = self.allocators.taken();
                let free = |address: &IpAddr| {
                    !claimed_elsewhere.contains(address) && !taken.owners.contains_key(&Item::Address(*address))
                };
                range.candidates(entropy).find(free).ok_or(AllocationError::Full)?
            };
            match self.take_address(address).await {
                Ok(()) => return Ok(address),
                Err(AllocationError::AddressTaken) => drop(claimed_elsewhere.insert(address)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Claims an address in the store.
    async fn claim(&self, address: IpAddr) -> Result<Claim, AllocationError> {
        let leaving = self.allocators.taken().leaving.get(&address).cloned();
        let claims = &self.allocators.0.claims;
        claims.claim(address, &self.owner, leaving.as_deref(), &self.host, &self.objects).await
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
        back.iter().for_each(|item| self.allocators.give_back(&self.host, *item, &self.owner));
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
mod tests;
