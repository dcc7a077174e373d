//! Datagrams follow the translation of their first packet for as long as they flow: when the endpoints of a UDP port
//! change, what goes to endpoints that are gone must be forgotten.

use std::collections::BTreeSet;

use netfilter::{Conntrack, Flow};

use crate::endpoints::Backend;
use crate::item::{FrontKey, Protocol};
use crate::state::State;

/// Forgets the UDP flows to `touched` frontends that are answered by nobody who should; returns how many.
pub(crate) fn forget_stale(state: &State, touched: &BTreeSet<FrontKey>) -> Result<usize, netfilter::Error> {
    let mut forgotten = 0;
    for ipv6 in [false, true] {
        let concerns = |key: &&FrontKey| key.protocol == Protocol::Udp && key.address.is_ipv6() == ipv6;
        if touched.iter().any(|key| concerns(&key)) {
            forgotten += Conntrack::open()?.delete(ipv6, |flow| is_stale(state, touched, flow))?;
        }
    }
    Ok(forgotten)
}

fn is_stale(state: &State, touched: &BTreeSet<FrontKey>, flow: &Flow) -> bool {
    let key = FrontKey { address: flow.destination, protocol: Protocol::Udp, port: flow.destination_port };
    let backend = Backend { address: flow.responder, port: flow.responder_port };
    flow.protocol == Protocol::Udp.number() && touched.contains(&key) && !state.answers(&key, &backend)
}
