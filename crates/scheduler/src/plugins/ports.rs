//! Host ports are taken once for each address and protocol.

use super::{Prepared, Verdict};
use crate::pod::HostPort;

pub(super) fn filter(prepared: &Prepared<'_>, node: usize) -> Verdict {
    let taken = &prepared.snapshot.ports[node];
    let conflicts = |wanted: &HostPort| taken.keys().any(|taken| conflict(wanted, taken));
    if prepared.pod.ports.iter().any(conflicts) {
        Verdict::Unschedulable(vec!["node(s) didn't have free ports for the requested pod ports".into()])
    } else {
        Verdict::Fits
    }
}

/// A port on all addresses conflicts with one on any.
fn conflict(a: &HostPort, b: &HostPort) -> bool {
    a.number == b.number
        && a.protocol == b.protocol
        && (a.address == b.address || a.address.is_empty() || b.address.is_empty())
}
