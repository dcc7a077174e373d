//! The nftables tables of Services, one for each IP family, and items as changes of them.

use std::time::Duration;

use ipnet::IpNet;
use netfilter::{
    Batch, Chain, DataType, DynsetOp, Element, Expression, Hook, Kind, NatKind, Policy, Reject, Rule, Set, Socket,
    Table, Verdict,
};

use crate::chain::{Balance, ChainSpec, Masquerade};
use crate::item::{Item, Outcome, Protocol};
use crate::layout::{Layout, address_bytes, backend_bytes, front_bytes};
use crate::state::Changes;

/// The bit of a packet's mark that asks for masquerading, the same as upstream's.
const MARK: u32 = 1 << 14;
const DESTINATION_NAT: i32 = -100;
const SOURCE_NAT: i32 = 100;
const FILTER: i32 = 0;
/// How many clients with affinity are remembered; more are balanced anew each time.
const MAX_CLIENTS: u32 = 1 << 20;
/// For clients of rules that do not say; all rules do.
const AFFINITY: Duration = Duration::from_secs(10_800);

const SERVICES: &str = "services";
const REFUSED: &str = "refused";
const ENDPOINTS: &str = "endpoints";
const LOCAL: &str = "local";
const MEMBERS: &str = "members";
const AFFINITIES: &str = "affinity";
const HAIRPIN: &str = "hairpin";
const REJECT: &str = "reject";
const SETS: [&str; 6] = [SERVICES, REFUSED, ENDPOINTS, LOCAL, MEMBERS, HAIRPIN];

/// The tables of one instance: how they look, not what is in them.
#[derive(Debug, Clone)]
pub struct Tables {
    name: String,
    /// Pods of all nodes: everybody else is a stranger.
    cluster_cidrs: Vec<IpNet>,
    service_cidrs: Vec<IpNet>,
}

impl Tables {
    #[must_use]
    pub fn new(instance: &str, cluster_cidrs: Vec<IpNet>, service_cidrs: Vec<IpNet>) -> Self {
        Self { name: format!("coracle-{instance}-services"), cluster_cidrs, service_cidrs }
    }

    /// Builds the tables anew with exactly `items`; packets see the old ones until then.
    #[must_use]
    pub fn rebuild(&self, items: &[Item]) -> Batch {
        let mut batch = Batch::new();
        for layout in Layout::BOTH {
            self.frame(layout, &mut batch);
        }
        self.encode(&Changes { remove: Vec::new(), add: items.to_vec() }, &mut batch);
        batch
    }

    /// Changes the tables.
    #[must_use]
    pub fn update(&self, changes: &Changes) -> Batch {
        let mut batch = Batch::new();
        self.encode(changes, &mut batch);
        batch
    }

    /// Removes the tables.
    #[must_use]
    pub fn removal(&self) -> Batch {
        let mut batch = Batch::new();
        for layout in Layout::BOTH {
            batch.remove_table(&self.table(layout));
        }
        batch
    }

    /// Those that exist, by family and name. Asks for these only.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn present(&self, socket: &mut Socket) -> Result<Vec<String>, netfilter::Error> {
        let mut present = Vec::new();
        for table in Layout::BOTH.map(|layout| self.table(layout)) {
            if socket.has_table(&table)? {
                present.push(table.to_string());
            }
        }
        Ok(present)
    }

    fn table(&self, layout: Layout) -> Table {
        Table::new(layout.family(), self.name.clone())
    }

    /// Sets, maps and base chains.
    fn frame(&self, layout: Layout, batch: &mut Batch) {
        let table = self.table(layout);
        batch.renew_table(&table);
        sets(layout).iter().for_each(|set| batch.add_set(&table, set));
        batch.add_chain(&table, &Chain::plain(REJECT));
        let how = if layout.ipv6 { Reject::Ipv6Port } else { Reject::Ipv4Port };
        // A reset also reaches clients on this host whose route to the Service is through the loopback link.
        batch.add_rule(&table, REJECT, &Rule::new().protocol(Protocol::Tcp.number()).reject(Reject::TcpReset));
        batch.add_rule(&table, REJECT, &Rule::new().reject(how));
        for (name, hook) in [("prerouting", Hook::Prerouting), ("output", Hook::Output)] {
            batch.add_chain(&table, &Chain::base(name, Kind::Nat, hook, DESTINATION_NAT, Policy::Accept));
            batch.add_rule(&table, name, &look_up(layout, Rule::new(), SERVICES));
        }
        batch.add_chain(&table, &Chain::base("postrouting", Kind::Nat, Hook::Postrouting, SOURCE_NAT, Policy::Accept));
        batch.add_rule(&table, "postrouting", &Rule::new().marked(MARK).clear_mark(MARK).masquerade());
        batch.add_rule(&table, "postrouting", &hairpin(layout));
        for (name, hook) in
            [("filter-input", Hook::Input), ("filter-forward", Hook::Forward), ("filter-output", Hook::Output)]
        {
            batch.add_chain(&table, &Chain::base(name, Kind::Filter, hook, FILTER, Policy::Accept));
            batch.add_rule(&table, name, &look_up(layout, Rule::new().new_connection(), REFUSED));
            // What still goes to a service address belongs to no Service.
            for cidr in of_family(&self.service_cidrs, layout) {
                let rule = Rule::new().new_connection().destination_in(*cidr);
                batch.add_rule(&table, name, &rule.verdict(Verdict::Goto(REJECT.into())));
            }
        }
    }

    /// Elements let go of chains before these are deleted, and chains exist before elements lead to them.
    fn encode(&self, changes: &Changes, batch: &mut Batch) {
        for layout in Layout::BOTH {
            let table = self.table(layout);
            let mine = |items: &[Item]| -> Vec<Item> {
                items.iter().filter(|item| item.is_ipv6() == layout.ipv6).cloned().collect()
            };
            let (remove, add) = (mine(&changes.remove), mine(&changes.add));
            for set in SETS {
                batch.delete_elements(&table, set, &elements(&remove, set));
            }
            let added = chains(&add);
            added.iter().for_each(|spec| batch.add_chain(&table, &Chain::plain(spec.to_string())));
            for spec in added {
                let name = spec.to_string();
                self.rules(layout, spec).iter().for_each(|rule| batch.add_rule(&table, &name, rule));
            }
            for set in SETS {
                batch.add_elements(&table, set, &elements(&add, set));
            }
            let removed = chains(&remove);
            removed.iter().for_each(|spec| batch.flush_chain(&table, &spec.to_string()));
            removed.iter().for_each(|spec| batch.delete_chain(&table, &spec.to_string()));
        }
    }

    fn rules(&self, layout: Layout, spec: &ChainSpec) -> Vec<Rule> {
        match spec {
            ChainSpec::Balance(balance) => self.balance(layout, balance),
            ChainSpec::Split { all, local } => self.split(layout, all, local.as_ref()),
            ChainSpec::Guard(guard) => {
                let goto = Verdict::Goto(guard.then.to_string());
                let inside = of_family(&guard.sources, layout);
                let mut rules: Vec<Rule> =
                    inside.map(|source| Rule::new().source_in(*source).verdict(goto.clone())).collect();
                rules.push(Rule::new().verdict(Verdict::Drop));
                rules
            }
        }
    }

    fn balance(&self, layout: Layout, balance: &Balance) -> Vec<Rule> {
        let mut rules = Vec::new();
        match balance.masquerade {
            Masquerade::Never => {}
            Masquerade::Always => rules.push(Rule::new().set_mark(MARK)),
            Masquerade::Strangers => {
                let mut known = of_family(&self.cluster_cidrs, layout).peekable();
                if known.peek().is_some() {
                    rules.push(known.fold(Rule::new(), |rule, cidr| rule.source_not_in(*cidr)).set_mark(MARK));
                }
            }
        }
        let map = if balance.local { LOCAL } else { ENDPOINTS };
        if let Some(seconds) = balance.affinity {
            let timeout = Duration::from_secs(seconds.into());
            rules.push(stay(layout, timeout));
            rules.push(translate(layout, remember(layout, pick(layout, map, balance.endpoints), timeout)));
        }
        rules.push(translate(layout, pick(layout, map, balance.endpoints)));
        // While the number of endpoints shrinks, an index may miss; the first endpoint is there as long as any is.
        rules.push(translate(layout, pick(layout, map, 1)));
        rules.push(Rule::new().verdict(Verdict::Drop));
        rules
    }

    fn split(&self, layout: Layout, all: &Balance, local: Option<&Balance>) -> Vec<Rule> {
        let goto = |balance: &Balance| Verdict::Goto(balance.to_string());
        let pods = of_family(&self.cluster_cidrs, layout);
        let masqueraded = Balance { masquerade: Masquerade::Always, ..all.clone() };
        let mut rules = vec![Rule::new().source_is_local().verdict(goto(&masqueraded))];
        rules.extend(pods.map(|cidr| Rule::new().source_in(*cidr).verdict(goto(all))));
        rules.push(Rule::new().verdict(local.map_or(Verdict::Drop, goto)));
        rules
    }
}

fn sets(layout: Layout) -> [Set; 7] {
    let front = layout.front_type();
    let backend = layout.backend_type();
    let indexed = [&front[..], &[DataType::Mark]].concat();
    let client = [&[layout.address_type()], &front[..]].concat();
    [
        Set::verdict_map(SERVICES, &front),
        Set::verdict_map(REFUSED, &front),
        Set::map(ENDPOINTS, &indexed, &backend),
        Set::map(LOCAL, &indexed, &backend),
        Set::new(MEMBERS, &[&front[..], &backend].concat()),
        Set::map(AFFINITIES, &client, &backend).dynamic(MAX_CLIENTS, AFFINITY),
        Set::new(HAIRPIN, &[layout.address_type(); 2]),
    ]
}

fn of_family(cidrs: &[IpNet], layout: Layout) -> impl Iterator<Item = &IpNet> {
    cidrs.iter().filter(move |cidr| cidr.addr().is_ipv6() == layout.ipv6)
}

/// Follows the verdict for the frontend that the packet is sent to.
fn look_up(layout: Layout, rule: Rule, map: &str) -> Rule {
    let loaded = layout.load_front().into_iter().fold(rule, Rule::expression);
    loaded.expression(Expression::LookupVerdict { map: map.into(), from: layout.front() })
}

/// Chooses one of `count` endpoints at random.
fn pick(layout: Layout, map: &str, count: u32) -> Rule {
    let loaded = layout.load_front().into_iter().fold(Rule::new(), Rule::expression);
    loaded.expression(Expression::Random { modulus: count, into: layout.backend() }).expression(Expression::Lookup {
        set: map.into(),
        from: layout.front(),
        into: Some(layout.backend()),
        negated: false,
    })
}

/// Sends the connection to the endpoint in the registers.
fn translate(layout: Layout, rule: Rule) -> Rule {
    rule.expression(Expression::Nat {
        kind: NatKind::Destination,
        ipv6: layout.ipv6,
        address: layout.backend(),
        port: Some(layout.backend_port()),
    })
}

/// Sends a client back to the endpoint that it had, if that still serves, and starts its time anew.
fn stay(layout: Layout, timeout: Duration) -> Rule {
    let loaded = layout.load_front().into_iter().fold(Rule::new().expression(layout.load_client()), Rule::expression);
    let found = Expression::Lookup {
        set: AFFINITIES.into(),
        from: layout.client(),
        into: Some(layout.backend()),
        negated: false,
    };
    let valid = Expression::Lookup { set: MEMBERS.into(), from: layout.front(), into: None, negated: false };
    translate(
        layout,
        loaded.expression(found).expression(valid).expression(affinity(layout, DynsetOp::Update, timeout)),
    )
}

/// Replaces the endpoint that is remembered for a client: adding alone would keep one that is gone.
fn remember(layout: Layout, rule: Rule, timeout: Duration) -> Rule {
    rule.expression(layout.load_client()).expression(affinity(layout, DynsetOp::Delete, timeout)).expression(affinity(
        layout,
        DynsetOp::Add,
        timeout,
    ))
}

fn affinity(layout: Layout, op: DynsetOp, timeout: Duration) -> Expression {
    Expression::Dynset {
        set: AFFINITIES.into(),
        op,
        key: layout.client(),
        data: Some(layout.backend()),
        timeout: Some(timeout),
    }
}

/// A pod that reaches itself must not see its own address as the client, or it would answer itself directly.
fn hairpin(layout: Layout) -> Rule {
    let lookup = Expression::Lookup { set: HAIRPIN.into(), from: layout.client(), into: None, negated: false };
    Rule::new()
        .destination_translated()
        .expression(layout.load_client())
        .expression(layout.load_destination(layout.front()))
        .expression(lookup)
        .masquerade()
}

fn chains(items: &[Item]) -> Vec<&ChainSpec> {
    items.iter().filter_map(|item| if let Item::Chain(_, spec) = item { Some(spec) } else { None }).collect()
}

/// The elements of `set` among `items`.
fn elements(items: &[Item], set: &str) -> Vec<Element> {
    items.iter().filter_map(|item| element(item).filter(|(home, _)| *home == set)).map(|(_, element)| element).collect()
}

fn element(item: &Item) -> Option<(&'static str, Element)> {
    let indexed = |key, index: u32| [front_bytes(key), index.to_ne_bytes().to_vec()].concat();
    Some(match item {
        Item::Chain(..) => return None,
        Item::Service(key, chain) => {
            (SERVICES, Element::with_verdict(front_bytes(key), Verdict::Goto(chain.to_string())))
        }
        Item::Refused(key, Outcome::Reject) => {
            (REFUSED, Element::with_verdict(front_bytes(key), Verdict::Goto(REJECT.into())))
        }
        Item::Refused(key, Outcome::Drop) => (REFUSED, Element::with_verdict(front_bytes(key), Verdict::Drop)),
        Item::Endpoint(key, index, backend) => {
            (ENDPOINTS, Element::with_data(indexed(key, *index), backend_bytes(backend)))
        }
        Item::Local(key, index, backend) => (LOCAL, Element::with_data(indexed(key, *index), backend_bytes(backend))),
        Item::Member(key, backend) => (MEMBERS, Element::new([front_bytes(key), backend_bytes(backend)].concat())),
        Item::Hairpin(address) => (HAIRPIN, Element::new(address_bytes(*address).repeat(2))),
    })
}
