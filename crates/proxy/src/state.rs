//! The rule set of all Services, and what a change of some of them changes in it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use informer::Key;

use crate::endpoints::Backend;
use crate::fragment::{Fragment, Frontend};
use crate::item::{FrontKey, Item};

/// What to do to the rule set, the removals first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub remove: Vec<Item>,
    pub add: Vec<Item>,
}

impl Changes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

/// Who wants a frontend: of several Services with the same external address and port, the oldest has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    /// Seconds; unknown is oldest.
    created: i64,
    service: Key,
}

#[derive(Debug)]
struct Known {
    created: i64,
    fragment: Fragment,
}

/// The fragments of all Services. Changes collect until they are taken.
#[derive(Debug, Default)]
pub struct State {
    services: BTreeMap<Key, Known>,
    claims: BTreeMap<FrontKey, BTreeSet<Claim>>,
    /// How many frontends need a chain, and how many Services a hairpin.
    shared: BTreeMap<Item, u32>,
    /// Items that the next changes add (`true`) or remove.
    pending: BTreeMap<Item, bool>,
    touched: BTreeSet<FrontKey>,
}

impl State {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces what `service` needs. `created` is its age in seconds since the epoch.
    pub fn set(&mut self, service: &Key, created: i64, fragment: Fragment) {
        if self.services.get(service).is_some_and(|known| known.fragment == fragment && known.created == created) {
            return;
        }
        self.update(service, Some(Known { created, fragment }));
    }

    /// Forgets `service`.
    pub fn remove(&mut self, service: &Key) {
        if self.services.contains_key(service) {
            self.update(service, None);
        }
    }

    /// The net changes since they were last taken.
    pub fn take(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (item, added) in std::mem::take(&mut self.pending) {
            if added { changes.add.push(item) } else { changes.remove.push(item) }
        }
        changes
    }

    /// The frontends that changed since they were last taken.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<FrontKey> {
        std::mem::take(&mut self.touched)
    }

    /// The whole rule set, in order; forgets pending changes, which it contains.
    pub fn whole(&mut self) -> Vec<Item> {
        self.pending.clear();
        let frontends = self.claims.keys().filter_map(|key| Some(self.effective(*key)?.items(*key)));
        let mut items: Vec<Item> = self.shared.keys().cloned().chain(frontends.flatten()).collect();
        items.sort();
        items
    }

    /// Whether `backend` may answer for `key`.
    pub(crate) fn answers(&self, key: &FrontKey, backend: &Backend) -> bool {
        self.effective(*key).is_some_and(|frontend| frontend.backends().any(|known| known == backend))
    }

    fn update(&mut self, service: &Key, new: Option<Known>) {
        let mut keys: BTreeSet<FrontKey> = BTreeSet::new();
        let old = self.services.get(service);
        keys.extend(old.iter().chain(&new.as_ref()).flat_map(|known| known.fragment.frontends.keys()));
        for key in &keys {
            self.show(*key, false);
        }
        self.exchange(service, new);
        for key in &keys {
            self.show(*key, true);
        }
        self.touched.extend(keys);
    }

    fn exchange(&mut self, service: &Key, new: Option<Known>) {
        if let Some(old) = self.services.remove(service) {
            let claim = Claim { created: old.created, service: service.clone() };
            for key in old.fragment.frontends.keys() {
                self.drop_claim(*key, &claim);
            }
            self.count_hairpins(&old.fragment.hairpin, false);
        }
        if let Some(new) = new {
            for key in new.fragment.frontends.keys() {
                let claim = Claim { created: new.created, service: service.clone() };
                self.claims.entry(*key).or_default().insert(claim);
            }
            self.count_hairpins(&new.fragment.hairpin, true);
            self.services.insert(service.clone(), new);
        }
    }

    fn drop_claim(&mut self, key: FrontKey, claim: &Claim) {
        if let Entry::Occupied(mut claims) = self.claims.entry(key) {
            claims.get_mut().remove(claim);
            if claims.get().is_empty() {
                claims.remove();
            }
        }
    }

    /// What is in effect for `key`.
    fn effective(&self, key: FrontKey) -> Option<&Frontend> {
        let claim = self.claims.get(&key)?.first()?;
        self.services.get(&claim.service)?.fragment.frontends.get(&key)
    }

    /// Adds or removes what is in effect for `key`.
    fn show(&mut self, key: FrontKey, add: bool) {
        let Some(frontend) = self.effective(key) else { return };
        let items = frontend.items(key);
        let chains = match frontend {
            Frontend::Balanced { chain, .. } => chain.closure(),
            Frontend::Refused(_) => Vec::new(),
        };
        for chain in chains {
            self.count(Item::Chain(key.address.is_ipv6(), chain), add);
        }
        for item in items {
            self.note(item, add);
        }
    }

    fn count_hairpins(&mut self, addresses: &BTreeSet<IpAddr>, add: bool) {
        for address in addresses {
            self.count(Item::Hairpin(*address), add);
        }
    }

    fn count(&mut self, item: Item, add: bool) {
        let count = self.shared.entry(item.clone()).or_default();
        let before = *count;
        *count = if add { before + 1 } else { before.saturating_sub(1) };
        let after = *count;
        if after == 0 {
            self.shared.remove(&item);
        }
        if (before == 0) != (after == 0) {
            self.note(item, add);
        }
    }

    /// Two opposite changes of one item are none.
    fn note(&mut self, item: Item, add: bool) {
        match self.pending.entry(item) {
            Entry::Occupied(noted) if *noted.get() != add => drop(noted.remove()),
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => drop(free.insert(add)),
        }
    }
}
