//! nftables over netlink: tables, chains, rules, sets and maps in atomic transactions.
//!
//! A [`Batch`] collects changes to tables that the caller owns; [`Socket::apply`] gives it to the kernel as one
//! transaction, which takes effect as a whole or not at all. Nothing is ever listed: whoever applies a batch knows what
//! it applied before. A refusal names the object that was refused.
//!
//! ```no_run
//! use netfilter::{Batch, Chain, Family, Hook, Kind, Policy, Rule, Socket, Table, Verdict};
//!
//! let table = Table::new(Family::Ipv4, "example");
//! let mut batch = Batch::new();
//! batch.add_table(&table);
//! batch.add_chain(&table, &Chain::base("input", Kind::Filter, Hook::Input, 0, Policy::Accept));
//! batch.add_rule(&table, "input", &Rule::new().destination_port(23).verdict(Verdict::Drop));
//! Socket::open()?.apply(&batch)?;
//! # Ok::<(), netfilter::Error>(())
//! ```

mod batch;
mod conntrack;
mod error;
mod expression;
mod object;
mod rule;
mod socket;
mod wire;
mod words;

pub use batch::Batch;
pub use conntrack::{Conntrack, Flow};
pub use error::Error;
pub use expression::{Base, CtKey, DynsetOp, Expression, FibResult, MetaKey, NatKind, Register, Reject};
pub use object::{Chain, DataType, Element, Family, Hook, Kind, Policy, Set, Table, Value, Verdict};
pub use rule::Rule;
pub use socket::Socket;
