//! The nftables table of the pod network: masquerading, ports of the node, and the protection of the gateway address
//! and of loopback addresses.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use netfilter::{Batch, Chain, Family, Hook, Kind, Policy, Rule, Socket, Table, Verdict};

use crate::host_ports::{Layout, elements};
use crate::lease::Lease;
use crate::names::{link_prefix, table_name};
use crate::{Error, Options};

/// Before connections are tracked.
const RAW: i32 = -300;
/// Where destinations are translated.
const DESTINATION_NAT: i32 = -100;
/// Where sources are translated.
const SOURCE_NAT: i32 = 100;
/// Where packets are filtered, before others that filter there.
const FILTER: i32 = -10;
const LOOPBACK: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8));

/// Builds the table anew in one step, with the ports of `leases`.
pub(crate) fn install<'a>(
    options: &Options,
    gateways: &[IpAddr],
    leases: impl Iterator<Item = &'a Lease>,
) -> Result<(), Error> {
    let mut batch = frame(options, gateways);
    for lease in leases {
        for (set, element) in elements(&lease.host_ports, &lease.addresses) {
            batch.add_elements(&table(&options.instance), set, [&element]);
        }
    }
    Ok(Socket::open()?.apply(&batch)?)
}

/// The table of `instance`, if it exists.
pub(crate) fn remains(instance: &str) -> Result<Option<String>, Error> {
    let table = table(instance);
    Ok(Socket::open()?.has_table(&table)?.then(|| table.to_string()))
}

pub(crate) fn remove(instance: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.remove_table(&table(instance));
    Ok(Socket::open()?.apply(&batch)?)
}

/// Leads the ports of a lease to its pod; refused as a whole when one is held by another.
pub(crate) fn open_ports(instance: &str, lease: &Lease) -> Result<(), Error> {
    change_ports(lease, |batch, set, element| batch.add_elements(&table(instance), set, [element]))
}

pub(crate) fn close_ports(instance: &str, lease: &Lease) -> Result<(), Error> {
    change_ports(lease, |batch, set, element| batch.delete_elements(&table(instance), set, [element]))
}

fn change_ports(lease: &Lease, mut change: impl FnMut(&mut Batch, &str, &netfilter::Element)) -> Result<(), Error> {
    let mut batch = Batch::new();
    for (set, element) in elements(&lease.host_ports, &lease.addresses) {
        change(&mut batch, set, &element);
    }
    if batch.is_empty() {
        return Ok(());
    }
    Ok(Socket::open()?.apply(&batch)?)
}

fn frame(options: &Options, gateways: &[IpAddr]) -> Batch {
    let table = table(&options.instance);
    let links = link_prefix(&options.instance);
    let mut batch = Batch::new();
    batch.renew_table(&table);
    batch.add_chain(&table, &Chain::base("raw", Kind::Filter, Hook::Prerouting, RAW, Policy::Accept));
    batch.add_rule(&table, "raw", &spare_loopback(&links));
    batch.add_chain(&table, &Chain::base("prerouting", Kind::Nat, Hook::Prerouting, DESTINATION_NAT, Policy::Accept));
    batch.add_chain(&table, &Chain::base("output", Kind::Nat, Hook::Output, DESTINATION_NAT, Policy::Accept));
    batch.add_chain(&table, &Chain::base("postrouting", Kind::Nat, Hook::Postrouting, SOURCE_NAT, Policy::Accept));
    batch.add_rule(&table, "postrouting", &hide_loopback(&links));
    for pods in &options.pod_cidrs {
        let layout = Layout::of(pods.addr());
        layout.sets().iter().for_each(|set| batch.add_set(&table, set));
        for rule in layout.translations(pods.addr()) {
            batch.add_rule(&table, "prerouting", &rule);
            batch.add_rule(&table, "output", &rule);
        }
        batch.add_rule(&table, "postrouting", &layout.hairpin(pods.addr()));
        batch.add_rule(&table, "postrouting", &masquerade(*pods, &options.cluster_cidrs, &links));
    }
    batch.add_chain(&table, &Chain::base("input", Kind::Filter, Hook::Input, FILTER, Policy::Accept));
    for gateway in gateways {
        batch.add_rule(&table, "input", &protect(*gateway, &links));
    }
    batch
}

/// Pods do not reach the loopback addresses of their node; answers to them carry the node's address here still.
fn spare_loopback(links: &str) -> Rule {
    Rule::new().family_of(LOOPBACK.addr()).input_starts_with(links).destination_in(LOOPBACK).verdict(Verdict::Drop)
}

/// Pods see the node's address, not a loopback address that would be their own.
fn hide_loopback(links: &str) -> Rule {
    Rule::new().family_of(LOOPBACK.addr()).source_in(LOOPBACK).output_starts_with(links).masquerade()
}

/// Pods that leave the cluster do so with the address of the node.
fn masquerade(pods: IpNet, cluster: &[IpNet], links: &str) -> Rule {
    let rule = Rule::new().family_of(pods.addr()).source_in(pods);
    let same_family = cluster.iter().chain([&pods]).filter(|cidr| cidr.addr().is_ipv4() == pods.addr().is_ipv4());
    same_family
        .fold(rule, |rule, cidr| rule.destination_not_in(*cidr))
        .output_does_not_start_with(links)
        .output_is_not("lo")
        .masquerade()
}

/// The gateway answers this host and its pods only.
fn protect(gateway: IpAddr, links: &str) -> Rule {
    Rule::new()
        .family_of(gateway)
        .destination_in(gateway.into())
        .input_is_not("lo")
        .input_does_not_start_with(links)
        .verdict(Verdict::Drop)
}

fn table(instance: &str) -> Table {
    Table::new(Family::Inet, table_name(instance))
}
