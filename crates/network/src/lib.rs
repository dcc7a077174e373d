//! Pod networking on this node: network namespaces, veth pairs, addresses and routes.
//!
//! Every pod sandbox gets a network namespace with one end of a veth pair as `eth0`, a /32 (and /128) address from the
//! node's pod CIDR, and a default route through a link-local gateway whose hardware address is known in advance. The
//! host routes each address to the other end of the pair. There is no bridge, so bridge netfilter is not needed, and no
//! address resolution happens on the pair.
//!
//! Making a namespace and a veth pair waits for the kernel's grace periods, so [`Network`] keeps a few ready and
//! deletes in the background; [`Network::attach`] only assigns the address.

mod cidr;
mod error;
mod firewall;
mod host_ports;
mod ipam;
mod lease;
mod names;
mod namespace;
mod network;
mod options;
mod pool;
mod rtnl;
mod settings;
mod setup;
mod state_file;

pub use cidr::{choose_cidrs, existing_routes, first_address};
pub use error::Error;
pub use host_ports::{HostPort, Protocol};
pub use network::{Attachment, Network};
pub use options::Options;
