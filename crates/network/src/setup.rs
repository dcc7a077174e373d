//! What the pod network changes on the host beside links: gateway addresses and the route to Services; and the way back.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use crate::namespace::Namespaces;
use crate::pool::{absent_is_fine, delete_slot, link_index};
use crate::rtnl::{self, Rtnl};
use crate::{Error, Options, firewall, names, state_file};

/// What [`cleanup`] cannot find by name: remembered before it is set up.
#[derive(PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Setup {
    gateways: Vec<IpAddr>,
    service_cidrs: Vec<ipnet::IpNet>,
}

/// Puts the gateway addresses on the loopback link and routes Services there, where they are translated. What an
/// earlier run set up differently is removed.
///
/// IPv6 has no such route: on the loopback link it would refuse packets before they can be translated, so this host
/// reaches IPv6 Services by its default route.
pub(crate) fn put_gateways(gateways: &[IpAddr], options: &Options) -> Result<(), Error> {
    let path = options.state_dir.join("setup.json");
    let routed = options.service_cidrs.iter().copied().filter(|cidr| cidr.addr().is_ipv4()).collect();
    let setup = Setup { gateways: gateways.to_vec(), service_cidrs: routed };
    if state_file::read::<Setup>(&path)?.is_some_and(|earlier| earlier != setup) {
        remove_setup(&path)?;
    }
    state_file::write(&path, &setup)?;
    let lo = link_index("lo")?;
    let mut requests = vec![rtnl::link_up(lo)];
    let label = names::address_label(&options.instance);
    requests.extend(gateways.iter().map(|gateway| rtnl::add_labelled_address(lo, *gateway, &label)));
    let source = gateways.iter().copied().find(IpAddr::is_ipv4);
    requests.extend(setup.service_cidrs.iter().map(|service| rtnl::add_route(*service, lo, source)));
    Rtnl::open()?.apply(requests)
}

/// Removes everything of `instance`: goes on after a failure, and reports the first.
pub(crate) fn cleanup(instance: &str, state_dir: &Path) -> Result<(), Error> {
    let mut outcome = firewall::remove(instance);
    let mut attempt = |next: Result<(), Error>| {
        if outcome.is_ok() {
            outcome = next;
        }
    };
    attempt(remove_setup(&state_dir.join("setup.json")));
    attempt(remove_addresses(instance));
    attempt(remove_namespaces(instance, state_dir));
    attempt(remove_links(instance));
    attempt(match fs::remove_dir_all(state_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system(format!("remove {}", state_dir.display()))(error))
        }
        _ => Ok(()),
    });
    outcome
}

/// What [`cleanup`] would remove of `instance`, in words; found without its files.
pub(crate) fn remains(instance: &str) -> Result<Vec<String>, Error> {
    let mut rtnl = Rtnl::open()?;
    let links = links(&mut rtnl, instance)?.into_iter().map(|name| format!("link {name}"));
    let addresses = addresses(&mut rtnl, instance)?.into_iter().map(|address| format!("address {address} on lo"));
    let table = firewall::remains(instance)?.map(|name| format!("nftables table {name}"));
    Ok(links.chain(addresses).chain(table).collect())
}

/// The addresses that carry the instance's label. Their routes go with them.
fn remove_addresses(instance: &str) -> Result<(), Error> {
    let mut rtnl = Rtnl::open()?;
    let lo = link_index("lo")?;
    for address in addresses(&mut rtnl, instance)? {
        absent_is_fine(rtnl.apply(vec![rtnl::delete_address(lo, address)]))?;
    }
    Ok(())
}

fn addresses(rtnl: &mut Rtnl, instance: &str) -> Result<Vec<IpAddr>, Error> {
    let label = names::address_label(instance);
    let replies = rtnl.dump("list addresses", rtnl::list_addresses())?;
    Ok(replies.iter().filter_map(|reply| rtnl::labelled_address(reply, &label)).collect())
}

fn links(rtnl: &mut Rtnl, instance: &str) -> Result<Vec<String>, Error> {
    let prefix = names::link_prefix(instance);
    let replies = rtnl.dump("list links", rtnl::list_links())?;
    let names = replies.iter().filter_map(rtnl::link_name).filter(|name| name.starts_with(&prefix));
    Ok(names.map(str::to_owned).collect())
}

fn remove_setup(path: &Path) -> Result<(), Error> {
    let Some(setup) = state_file::read::<Setup>(path)? else { return Ok(()) };
    let lo = link_index("lo")?;
    let mut rtnl = Rtnl::open()?;
    for service in setup.service_cidrs {
        absent_is_fine(rtnl.apply(vec![rtnl::delete_route(service, lo)]))?;
    }
    for gateway in setup.gateways {
        absent_is_fine(rtnl.apply(vec![rtnl::delete_address(lo, gateway)]))?;
    }
    Ok(())
}

fn remove_namespaces(instance: &str, state_dir: &Path) -> Result<(), Error> {
    if !state_dir.join("netns").exists() {
        return Ok(());
    }
    let namespaces = Namespaces::open(state_dir)?;
    for slot in namespaces.list()? {
        delete_slot(instance, &slot, &namespaces)?;
    }
    Ok(())
}

fn remove_links(instance: &str) -> Result<(), Error> {
    let mut rtnl = Rtnl::open()?;
    for name in links(&mut rtnl, instance)? {
        absent_is_fine(rtnl.apply(vec![rtnl::delete_link(&name)]))?;
    }
    Ok(())
}
