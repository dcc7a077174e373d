//! Ready network namespaces with a veth pair each, made ahead of their use and deleted after it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use nix::net::if_::if_nametoindex;

use crate::namespace::Namespaces;
use crate::rtnl::{self, Rtnl};
use crate::{Error, Options, names, settings};

/// The hardware address of every host end: pods know it in advance, and the link has no other stations.
const HOST_MAC: [u8; 6] = [0xee; 6];
/// The next hop of every pod. Only its hardware address matters: no packet carries it.
const GATEWAY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

/// A namespace that lacks nothing but its address.
pub(crate) struct Slot {
    pub(crate) id: String,
    /// The index of the host end in the host's namespace.
    pub(crate) host_index: u32,
    pod_index: u32,
    pod_mac: [u8; 6],
    /// A socket inside the namespace.
    inside: Rtnl,
}

/// Slots that are ready; taken oldest first.
#[derive(Default)]
pub(crate) struct Pool {
    ready: Mutex<VecDeque<Slot>>,
}

impl Pool {
    pub(crate) fn take(&self) -> Option<Slot> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Adds a slot; returns how many are ready now.
    pub(crate) fn put(&self, slot: Slot) -> usize {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.push_back(slot);
        ready.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Slot {
    /// Makes a namespace and its veth pair; takes milliseconds. Runs in the host's namespace.
    pub(crate) fn create(id: &str, options: &Options, namespaces: &Namespaces) -> Result<Self, Error> {
        let host_end = names::link_name(&options.instance, id);
        let pod_mac = names::pod_mac(id);
        let mut outside = Rtnl::open()?;
        let ipv6 = options.pod_cidrs.iter().any(|cidr| cidr.addr().is_ipv6());
        let (pod_index, inside) = namespaces.create(id, ipv6, |namespace| {
            let netns = namespace.as_raw_fd();
            outside.apply(vec![rtnl::create_veth(&host_end, HOST_MAC, pod_mac, options.mtu, netns)])?;
            let mut inside = Rtnl::open()?;
            let index = link_index("eth0")?;
            let mut requests = vec![rtnl::link_up(link_index("lo")?), rtnl::link_up(index)];
            for cidr in &options.pod_cidrs {
                let gateway = if cidr.addr().is_ipv4() { GATEWAY_V4 } else { GATEWAY_V6 };
                requests.push(rtnl::add_neighbour(index, gateway, HOST_MAC));
                requests.push(rtnl::add_default_route(gateway, index));
            }
            inside.apply(requests)?;
            Ok((index, inside))
        })?;
        settings::allow_loopback(&host_end);
        Ok(Self { id: id.to_owned(), host_index: link_index(&host_end)?, pod_index, pod_mac, inside })
    }

    /// Gives the slot its addresses: in the namespace, and as routes to it from the host with the gateway as source.
    pub(crate) fn assign(&mut self, addresses: &[IpAddr], gateways: &[IpAddr]) -> Result<(), Error> {
        self.inside.apply(addresses.iter().map(|address| rtnl::add_address(self.pod_index, *address)).collect())?;
        let mut requests = Vec::with_capacity(addresses.len() * 2);
        for address in addresses {
            let source = gateways.iter().find(|gateway| gateway.is_ipv4() == address.is_ipv4());
            requests.push(rtnl::add_neighbour(self.host_index, *address, self.pod_mac));
            requests.push(rtnl::add_route((*address).into(), self.host_index, source.copied()));
        }
        Rtnl::open()?.apply(requests)
    }
}

/// Deletes the slot `id` of an instance, whatever is left of it.
pub(crate) fn delete_slot(instance: &str, id: &str, namespaces: &Namespaces) -> Result<(), Error> {
    absent_is_fine(Rtnl::open()?.apply(vec![rtnl::delete_link(&names::link_name(instance, id))]))?;
    namespaces.remove(id)
}

pub(crate) fn link_index(name: &str) -> Result<u32, Error> {
    if_nametoindex(name).map_err(Error::errno(format!("find link {name}")))
}

/// Deleting what is not there is no failure.
pub(crate) fn absent_is_fine(outcome: Result<(), Error>) -> Result<(), Error> {
    const ABSENT: [nix::Error; 4] =
        [nix::Error::ENODEV, nix::Error::ENOENT, nix::Error::ESRCH, nix::Error::EADDRNOTAVAIL];
    match outcome {
        Err(Error::System { source, .. })
            if ABSENT.iter().any(|errno| source.raw_os_error() == Some(*errno as i32)) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}
