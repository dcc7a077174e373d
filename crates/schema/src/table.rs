//! The table of resource types: built-in rows, and rows that come and go at run time.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use object::Gvk;
use thiserror::Error;

use crate::{
    facts::Facts,
    resource::{Resource, Served, Text},
    resources,
};

/// All resource types that a server knows. Cheap to share; every change makes a new [`Snapshot`] with a higher epoch.
#[derive(Debug)]
pub struct Table {
    current: RwLock<Arc<Snapshot>>,
}

type Rows = BTreeMap<Text, BTreeMap<Text, Arc<Resource>>>;

/// The table at one moment. A request takes one snapshot and uses it to its end.
#[derive(Debug, Clone)]
pub struct Snapshot {
    epoch: u64,
    /// By group, then plural.
    rows: Rows,
    /// By group, then kind.
    kinds: Rows,
    groups: Vec<Group>,
}

/// An API group and its served versions, preferred first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: Text,
    pub versions: Vec<Text>,
}

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    #[error("register {resource}: a built-in type has this name")]
    BuiltIn { resource: String },
    #[error("register {resource}: kind {kind} is already used by {owner}")]
    KindTaken { resource: String, kind: String, owner: String },
    #[error("register {resource}: it has no version, or its storage version does not exist")]
    NoVersion { resource: String },
}

impl Table {
    /// The built-in types.
    #[must_use]
    pub fn builtin() -> Self {
        let rows = resources::all(&Facts::builtin());
        Self { current: RwLock::new(Arc::new(Snapshot::new(0, rows.into_iter().map(Arc::new)))) }
    }

    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Increases with every change; renderings that depend on rows are keyed by it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.snapshot().epoch
    }

    /// Adds a row, or replaces one that was registered at run time under the same group and plural. Returns the new
    /// epoch.
    ///
    /// # Errors
    /// When a built-in type has the name, another row of the group has the kind, or the row has no storage version.
    pub fn register(&self, row: Resource) -> Result<u64, RegisterError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let resource = row.qualified();
        if row.storage >= row.versions.len() {
            return Err(RegisterError::NoVersion { resource });
        }
        if current.row(&row.group, &row.plural).is_some_and(|old| !old.custom) {
            return Err(RegisterError::BuiltIn { resource });
        }
        if let Some(owner) = current.row_of_kind(&row.group, &row.kind)
            && owner.plural != row.plural
        {
            return Err(RegisterError::KindTaken { resource, kind: row.kind.to_string(), owner: owner.qualified() });
        }
        let row = Arc::new(row);
        let others = current.rows().filter(|r| !(r.group == row.group && r.plural == row.plural)).cloned();
        let next = Snapshot::new(current.epoch + 1, others.chain([row.clone()]));
        *current = Arc::new(next);
        Ok(current.epoch)
    }

    /// Removes a row that was registered at run time; false when there is none.
    pub fn unregister(&self, group: &str, plural: &str) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !current.row(group, plural).is_some_and(|row| row.custom) {
            return false;
        }
        let others = current.rows().filter(|r| !(r.group == group && r.plural == plural)).cloned();
        let next = Snapshot::new(current.epoch + 1, others);
        *current = Arc::new(next);
        true
    }
}

impl Snapshot {
    fn new(epoch: u64, rows: impl Iterator<Item = Arc<Resource>>) -> Self {
        let (mut by_plural, mut kinds) = (Rows::new(), Rows::new());
        for row in rows {
            kinds.entry(row.group.clone()).or_default().insert(row.kind.clone(), row.clone());
            by_plural.entry(row.group.clone()).or_default().insert(row.plural.clone(), row);
        }
        let groups = groups(by_plural.values().flat_map(BTreeMap::values));
        Self { epoch, rows: by_plural, kinds, groups }
    }

    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What a request path names. `None` when the group, the plural or the (served) version does not exist.
    #[must_use]
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        served(self.row(group, plural)?, version)
    }

    /// What an object's `apiVersion` and `kind` name.
    #[must_use]
    pub fn kind(&self, gvk: &Gvk) -> Option<Served> {
        served(self.row_of_kind(&gvk.group, &gvk.kind)?, &gvk.version)
    }

    #[must_use]
    pub fn row(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.rows.get(group)?.get(plural)
    }

    #[must_use]
    pub fn row_of_kind(&self, group: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.kinds.get(group)?.get(kind)
    }

    /// All rows, by group and plural.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.values().flat_map(BTreeMap::values)
    }

    /// The served resources of one group and version, by plural.
    pub fn served(&self, group: &str, version: &str) -> impl Iterator<Item = Served> {
        self.rows.get(group).into_iter().flat_map(BTreeMap::values).filter_map(move |row| served(row, version))
    }

    /// Groups in discovery's order; the core group has the empty name.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

fn served(row: &Arc<Resource>, version: &str) -> Option<Served> {
    let version = row.version(version).filter(|v| row.versions[*v].served)?;
    Some(Served { resource: row.clone(), version })
}

fn groups<'a>(rows: impl Iterator<Item = &'a Arc<Resource>>) -> Vec<Group> {
    let mut found: BTreeMap<Text, Vec<Text>> = BTreeMap::new();
    for row in rows {
        let versions = found.entry(row.group.clone()).or_default();
        for version in row.versions.iter().filter(|v| v.served) {
            if !versions.contains(&version.name) {
                versions.push(version.name.clone());
            }
        }
    }
    let mut groups: Vec<Group> = found.into_iter().map(|(name, versions)| Group { name, versions }).collect();
    for group in &mut groups {
        group.versions.sort_by(|a, b| version_rank(b).cmp(&version_rank(a)).then_with(|| a.cmp(b)));
    }
    groups.sort_by_key(|group| (resources::group_rank(&group.name), group.name.clone()));
    groups.retain(|group| !group.versions.is_empty());
    groups
}

/// Orders versions as Kubernetes does: stable before beta before alpha, then higher numbers first; other names last.
/// Greater means preferred.
#[must_use]
pub fn version_rank(version: &str) -> (u8, u32, u32) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (major, rest) = rest.split_at(digits);
        let major = major.parse().ok()?;
        if rest.is_empty() {
            return Some((3, major, 0));
        }
        let (level, minor) =
            if let Some(minor) = rest.strip_prefix("beta") { (2, minor) } else { (1, rest.strip_prefix("alpha")?) };
        Some((level, major, minor.parse().ok()?))
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rank_as_upstream() {
        let mut versions = ["foo1", "v1alpha1", "v2", "v1beta2", "v1", "v10", "v1beta10"];
        versions.sort_by_key(|v| std::cmp::Reverse(version_rank(v)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "foo1"]);
    }
}
