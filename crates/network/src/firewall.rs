//! The nftables table of the pod network: masquerading and the protection of the gateway address.

use std::net::IpAddr;

use ipnet::IpNet;
use netfilter::{Batch, Chain, Family, Hook, Kind, Policy, Rule, Socket, Table, Verdict};

use crate::names::{link_prefix, table_name};
use crate::{Error, Options};

/// Where sources are translated.
const SOURCE_NAT: i32 = 100;
/// Where packets are filtered, before others that filter there.
const FILTER: i32 = -10;

/// Builds the table anew in one step.
pub(crate) fn install(options: &Options, gateways: &[IpAddr]) -> Result<(), Error> {
    Ok(Socket::open()?.apply(&batch(options, gateways))?)
}

pub(crate) fn remove(instance: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.remove_table(&table(instance));
    Ok(Socket::open()?.apply(&batch)?)
}

fn batch(options: &Options, gateways: &[IpAddr]) -> Batch {
    let table = table(&options.instance);
    let links = link_prefix(&options.instance);
    let mut batch = Batch::new();
    batch.renew_table(&table);
    batch.add_chain(&table, &Chain::base("postrouting", Kind::Nat, Hook::Postrouting, SOURCE_NAT, Policy::Accept));
    for pods in &options.pod_cidrs {
        batch.add_rule(&table, "postrouting", &masquerade(*pods, &options.cluster_cidrs, &links));
    }
    batch.add_chain(&table, &Chain::base("input", Kind::Filter, Hook::Input, FILTER, Policy::Accept));
    for gateway in gateways {
        batch.add_rule(&table, "input", &protect(*gateway, &links));
    }
    batch
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
