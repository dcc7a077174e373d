//! Kernel settings: packet forwarding on the host, and those of pods' namespaces and links.

use std::fs;

use ipnet::IpNet;

use crate::Error;

const V4: &str = "/proc/sys/net/ipv4/ip_forward";
const V6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// Enables forwarding for the families of `cidrs`. Reads first, so that a read-only /proc/sys with the right value works.
pub(crate) fn enable(cidrs: &[IpNet]) -> Result<(), Error> {
    let any = |v4: bool| cidrs.iter().any(|cidr| cidr.addr().is_ipv4() == v4);
    for (path, _) in [(V4, any(true)), (V6, any(false))].into_iter().filter(|(_, wanted)| *wanted) {
        let current = fs::read_to_string(path).map_err(Error::system(format!("read {path}")))?;
        if current.trim() != "1" {
            fs::write(path, "1").map_err(Error::system(format!("enable packet forwarding: write 1 to {path}")))?;
        }
    }
    Ok(())
}

/// Lets this host reach pods from its loopback addresses: ports of the node also answer on 127.0.0.1. The firewall
/// keeps pods from the loopback addresses in turn. Where /proc/sys is read-only, only this is missing.
pub(crate) fn allow_loopback(link: &str) {
    try_set(&format!("/proc/sys/net/ipv4/conf/{link}/route_localnet"), "1");
}

/// Settings of a pod's namespace, made inside it: as in other runtimes, every user may listen on low ports and ping.
/// Without `ipv6`, links that are made later have none; the loopback link keeps it.
pub(crate) fn prepare_namespace(ipv6: bool) {
    try_set("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    try_set("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    if !ipv6 {
        try_set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    }
}

fn try_set(path: &str, value: &str) {
    if let Err(error) = fs::write(path, value) {
        tracing::debug!(path, %error, "a kernel setting could not be made");
    }
}
