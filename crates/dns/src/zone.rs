//! The records of the cluster by name, kept up to date by changes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{LowerName, Name, RData, RecordType};
use informer::Key;
use ipnet::IpNet;

use crate::records::{Entry, address_data, child};

/// Whose records they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The zone's own.
    Zone,
    Namespace(String),
    Service(Key),
}

/// What a name and type lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// At least one.
    Records(Vec<RData>),
    /// The name is another's.
    Alias(Name),
    /// The name exists, with records of other types only.
    NoData,
    NoName,
    /// The zone does not own the name: upstream may.
    Foreign,
}

/// A name's records, and how many records names below it have.
#[derive(Debug, Default)]
struct Node {
    records: Vec<(u32, RData)>,
    /// How many entries keep the name alive: its own, and those of names below it.
    uses: u32,
}

/// The names below one domain, and those of addresses that belong to the cluster.
#[derive(Debug)]
pub struct Zone {
    domain: LowerName,
    pods: LowerName,
    cidrs: Vec<IpNet>,
    nodes: HashMap<LowerName, Node>,
    sources: HashMap<Source, (u32, Vec<LowerName>)>,
    next: u32,
}

impl Zone {
    /// An empty zone at `domain`. Addresses in `cidrs` have no names but those the zone knows. `servers` are the
    /// addresses of the name server itself.
    #[must_use]
    pub fn new(domain: &Name, cidrs: Vec<IpNet>, servers: &[IpAddr]) -> Self {
        let pods = child(domain, "pod").unwrap_or_else(|| domain.clone());
        let mut zone = Self {
            domain: LowerName::new(domain),
            pods: LowerName::new(&pods),
            cidrs,
            nodes: HashMap::new(),
            sources: HashMap::new(),
            next: 0,
        };
        let own = zone.own_records(domain, servers);
        zone.set(Source::Zone, own);
        zone
    }

    /// Replaces the records of `source`.
    pub fn set(&mut self, source: Source, entries: Vec<Entry>) {
        self.remove(&source);
        if entries.is_empty() {
            return;
        }
        self.next = self.next.wrapping_add(1);
        let id = self.next;
        let mut names = Vec::with_capacity(entries.len());
        for (name, data) in entries {
            let name = LowerName::from(name);
            let node = self.nodes.entry(name.clone()).or_default();
            node.records.extend(data.map(|data| (id, data)));
            self.hold(&name);
            names.push(name);
        }
        self.sources.insert(source, (id, names));
    }

    /// Forgets the records of `source`.
    pub fn remove(&mut self, source: &Source) {
        let Some((id, names)) = self.sources.remove(source) else { return };
        for name in names {
            if let Some(node) = self.nodes.get_mut(&name) {
                node.records.retain(|(owner, _)| *owner != id);
            }
            self.release(&name);
        }
    }

    /// The names that exist because a namespace does.
    #[must_use]
    pub fn namespace_entries(&self, namespace: &str) -> Vec<Entry> {
        let domain = Name::from(&self.domain);
        let below = |kind: &str| child(&domain, kind).and_then(|kind| child(&kind, namespace));
        [below("svc"), below("pod")].into_iter().flatten().map(|name| (name, None)).collect()
    }

    /// Looks `name` up.
    #[must_use]
    pub fn find(&self, name: &LowerName, wanted: RecordType) -> Found {
        if let Some(node) = self.nodes.get(name) {
            return node.find(wanted);
        }
        if self.domain.zone_of(name) {
            return self.find_pod(name, wanted);
        }
        if wanted == RecordType::PTR && self.owns_address_of(name) { Found::NoName } else { Found::Foreign }
    }

    /// Goes with negative answers, and says for how many seconds they hold: `ttl`.
    #[must_use]
    pub fn authority(&self, ttl: u32) -> (Name, RData) {
        let domain = Name::from(&self.domain);
        let server = name_server(&domain);
        let contact = child(&domain, "hostmaster").unwrap_or_else(|| domain.clone());
        let soa = SOA::new(server, contact, 1, 7200, 1800, 86_400, ttl);
        (domain, RData::SOA(soa))
    }

    fn own_records(&self, domain: &Name, servers: &[IpAddr]) -> Vec<Entry> {
        use hickory_proto::rr::rdata::{NS, TXT};
        let server = name_server(domain);
        let mut own: Vec<Entry> =
            vec![(domain.clone(), Some(RData::NS(NS(server.clone())))), (domain.clone(), Some(self.authority(30).1))];
        own.extend(servers.iter().map(|address| (server.clone(), Some(address_data(*address)))));
        let version = child(domain, "dns-version").map(|name| (name, Some(RData::TXT(TXT::new(vec!["1.1.0".into()])))));
        own.extend(version);
        own.extend(["svc", "pod"].into_iter().filter_map(|label| child(domain, label)).map(|name| (name, None)));
        own
    }

    /// Counts an entry for its name and the names above it, up to the domain.
    fn hold(&mut self, name: &LowerName) {
        self.each_up(name, |zone, name| zone.nodes.entry(name.clone()).or_default().uses += 1);
    }

    fn release(&mut self, name: &LowerName) {
        self.each_up(name, |zone, name| {
            let Some(node) = zone.nodes.get_mut(name) else { return };
            node.uses = node.uses.saturating_sub(1);
            if node.uses == 0 {
                zone.nodes.remove(name);
            }
        });
    }

    fn each_up(&mut self, name: &LowerName, mut each: impl FnMut(&mut Self, &LowerName)) {
        let mut name = name.clone();
        loop {
            each(self, &name);
            if !self.domain.zone_of(&name) || name == self.domain {
                return;
            }
            name = name.base_name();
        }
    }

    /// Every address has a name in every namespace: `10-42-0-5.default.pod.cluster.local`.
    fn find_pod(&self, name: &LowerName, wanted: RecordType) -> Found {
        let namespace = name.base_name();
        if namespace.base_name() != self.pods || !self.nodes.contains_key(&namespace) {
            return Found::NoName;
        }
        let full = Name::from(name);
        let Some(address) = full.iter().next().and_then(dashed_address) else { return Found::NoName };
        let data = address_data(address);
        if data.record_type() == wanted { Found::Records(vec![data]) } else { Found::NoData }
    }

    fn owns_address_of(&self, name: &LowerName) -> bool {
        let full = Name::from(name);
        full.parse_arpa_name().is_ok_and(|net| self.cidrs.iter().any(|cidr| cidr.contains(&net.addr())))
    }
}

impl Node {
    fn find(&self, wanted: RecordType) -> Found {
        let matching: Vec<RData> = self
            .records
            .iter()
            .filter(|(_, data)| wanted == RecordType::ANY || data.record_type() == wanted)
            .map(|(_, data)| data.clone())
            .collect();
        if !matching.is_empty() {
            return Found::Records(matching);
        }
        let alias = self.records.iter().find_map(|(_, data)| match data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        });
        alias.map_or(Found::NoData, Found::Alias)
    }
}

fn name_server(domain: &Name) -> Name {
    child(domain, "dns").and_then(|dns| child(&dns, "ns")).unwrap_or_else(|| domain.clone())
}

/// `10-42-0-5` or `fd00-42--5`.
fn dashed_address(label: &[u8]) -> Option<IpAddr> {
    let label = std::str::from_utf8(label).ok()?;
    let v4 = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::from);
    v4.or_else(|_| label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::from)).ok()
}
