//! Services: endpoints to nftables rules, as a pure function and a thin applier.
//!
//! [`fragment`] says what one Service needs, as data. [`State`] holds the fragments of all Services and turns a change of
//! one into the [`Item`]s to add and to remove, which [`Tables`] applies as one transaction.
//!
//! No Service has chains of its own. A map from (address, protocol, port) leads to a chain that is shared by all
//! Services with the same number of endpoints and the same policies; it picks an index at random and finds the endpoint
//! in a second map by (address, protocol, port, index). So a change of one Service touches its own elements only, and a
//! packet costs two hash look-ups however many Services there are.

mod chain;
mod endpoints;
mod flows;
mod fragment;
mod item;
mod layout;
mod role;
mod state;
mod tables;

pub use chain::{Balance, ChainSpec, Guard, Masquerade};
pub use endpoints::Backend;
pub use fragment::{Fragment, Frontend, Node, fragment};
pub use item::{FrontKey, Item, Outcome, Protocol};
pub use role::{Options, Proxy, cleanup, remains};
pub use state::{Changes, State};
pub use tables::Tables;
