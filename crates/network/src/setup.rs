//! What the pod network changes on the host beside links: gateway addresses and the route to Services; and the way back.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use crate::namespace::Namespaces;
use crate::pool::{absent_is_fine, delete_slot, link_index};
use crate::rtnl::{self, Rtnl};
use crate::{Error, Options, firewall, names};

const SETUP_VERSION: u64 = 1;

/// What [`cleanup`] cannot find by name: remembered before it is set up.
#[derive(serde::Serialize, serde::Deserialize)]
struct Setup {
    version: u64,
    gateways: Vec<IpAddr>,
    service_cidrs: Vec<ipnet::IpNet>,
}

/// Puts the gateway addresses on the loopback link and routes Services there, where they are translated.
pub(crate) fn put_gateways(gateways: &[IpAddr], options: &Options) -> Result<(), Error> {
    let lo = link_index("lo")?;
    let mut requests = vec![rtnl::link_up(lo)];
    for gateway in gateways {
        requests.push(rtnl::add_address(lo, *gateway));
    }
    for service in &options.service_cidrs {
        let source = gateways.iter().find(|gateway| gateway.is_ipv4() == service.addr().is_ipv4());
        requests.push(rtnl::add_route(*service, lo, source.copied()));
    }
    record(options, gateways)?;
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

fn record(options: &Options, gateways: &[IpAddr]) -> Result<(), Error> {
    let path = options.state_dir.join("setup.json");
    let setup =
        Setup { version: SETUP_VERSION, gateways: gateways.to_vec(), service_cidrs: options.service_cidrs.clone() };
    let bytes = serde_json::to_vec(&setup).map_err(|error| Error::system("encode the network setup")(error.into()))?;
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, bytes).map_err(Error::system(format!("write {}", unfinished.display())))?;
    fs::rename(&unfinished, &path).map_err(Error::system(format!("replace {}", path.display())))
}

fn remove_setup(path: &Path) -> Result<(), Error> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(Error::system(format!("read {}", path.display())))?,
    };
    let setup: Setup = serde_json::from_slice(&bytes)
        .map_err(|error| Error::system(format!("read {}", path.display()))(error.into()))?;
    if setup.version != SETUP_VERSION {
        return Err(Error::Version { path: path.to_owned(), found: setup.version, known: SETUP_VERSION });
    }
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
    let prefix = names::link_prefix(instance);
    let mut rtnl = Rtnl::open()?;
    for reply in rtnl.dump("list links", rtnl::list_links())? {
        if let Some(name) = rtnl::link_name(&reply).filter(|name| name.starts_with(&prefix)) {
            absent_is_fine(rtnl.apply(vec![rtnl::delete_link(name)]))?;
        }
    }
    Ok(())
}
