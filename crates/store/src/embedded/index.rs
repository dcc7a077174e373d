//! The keys in memory: for each the revisions that can still be read.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::format::Head;
use crate::contract::{LeaseId, Revision};

/// One value (or, with `created` 0, the absence) of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) modified: Revision,
    pub(super) created: Revision,
    pub(super) lease: LeaseId,
}

impl Version {
    fn exists(&self) -> bool {
        self.created != 0
    }
}

/// A revision that nobody can ask for once history up to `since` is compacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Garbage {
    since: Revision,
    pub(super) dead: Revision,
    key: Arc<str>,
}

/// All keys with their versions, oldest first, and what compaction may remove, in the order it becomes removable.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: BTreeMap<Arc<str>, Vec<Version>>,
    garbage: VecDeque<Garbage>,
}

impl Index {
    /// Adds what happened at `revision`, which is greater than all before.
    pub(super) fn apply(&mut self, revision: Revision, head: &Head) {
        let version = Version { modified: revision, created: head.created, lease: head.lease };
        let versions = match self.keys.get_mut(&head.key) {
            Some(versions) => versions,
            None => self.keys.entry(head.key.clone()).or_insert_with(|| Vec::with_capacity(1)),
        };
        if let Some(previous) = versions.last().filter(|v| v.exists()) {
            self.garbage.push_back(Garbage { since: revision, dead: previous.modified, key: head.key.clone() });
        }
        if !version.exists() {
            self.garbage.push_back(Garbage { since: revision, dead: revision, key: head.key.clone() });
        }
        versions.push(version);
    }

    /// The key's present version, if it exists.
    pub(super) fn current(&self, key: &str) -> Option<Version> {
        self.keys.get(key)?.last().copied().filter(Version::exists)
    }

    /// The key's version at `revision`, if it existed.
    pub(super) fn at(&self, key: &str, revision: Revision) -> Option<Version> {
        version_at(self.keys.get(key)?, revision)
    }

    /// The keys from `start` (inclusive) under `prefix` that existed at `revision`.
    pub(super) fn range<'a>(
        &'a self,
        prefix: &'a str,
        start: Option<&'a str>,
        revision: Revision,
    ) -> impl Iterator<Item = (&'a Arc<str>, Version)> {
        let from = start.map_or(prefix, |start| start.max(prefix));
        self.keys
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter_map(move |(key, versions)| Some((key, version_at(versions, revision)?)))
    }

    /// Every key that exists, with its present version.
    pub(super) fn live(&self) -> impl Iterator<Item = (&Arc<str>, Version)> {
        self.keys.iter().filter_map(|(key, versions)| Some((key, *versions.last().filter(|v| v.exists())?)))
    }

    /// Up to `limit` revisions that are garbage once `compacted` is compacted.
    pub(super) fn garbage(&self, compacted: Revision, limit: usize) -> Vec<Garbage> {
        self.garbage.iter().take(limit).take_while(|g| g.since <= compacted).cloned().collect()
    }

    /// Forgets garbage that has been removed from the disk.
    pub(super) fn sweep(&mut self, swept: &[Garbage]) {
        self.garbage.drain(..swept.len());
        for garbage in swept {
            let Some(versions) = self.keys.get_mut(&garbage.key) else { continue };
            versions.retain(|v| v.modified != garbage.dead);
            if versions.is_empty() {
                self.keys.remove(&garbage.key);
            }
        }
    }
}

fn version_at(versions: &[Version], revision: Revision) -> Option<Version> {
    versions.iter().rev().find(|v| v.modified <= revision).copied().filter(Version::exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(changes: &[(&str, bool)]) -> Index {
        let mut index = Index::default();
        for (revision, (key, put)) in (2..).zip(changes) {
            index.apply(revision, &Head { key: (*key).into(), created: if *put { revision } else { 0 }, lease: 0 });
        }
        index
    }

    #[test]
    fn reads_see_their_revision() {
        let index = index(&[("a", true), ("a", true), ("b", true), ("a", false)]);
        assert_eq!(index.at("a", 2).map(|v| v.modified), Some(2));
        assert_eq!(index.at("a", 4).map(|v| v.modified), Some(3));
        assert_eq!(index.current("a"), None);
        assert_eq!(index.range("", None, 4).count(), 2);
        assert_eq!(index.range("", Some("b"), 5).count(), 1);
    }

    #[test]
    fn sweeping_leaves_what_can_be_read() {
        let mut index = index(&[("a", true), ("a", true), ("b", true), ("b", false)]);
        let garbage = index.garbage(4, 10);
        assert_eq!(garbage.iter().map(|g| g.dead).collect::<Vec<_>>(), [2]);
        index.sweep(&garbage);
        let garbage = index.garbage(5, 10);
        assert_eq!(garbage.iter().map(|g| g.dead).collect::<Vec<_>>(), [4, 5]);
        index.sweep(&garbage);
        assert_eq!(index.live().count(), 1);
        assert_eq!(index.keys.len(), 1);
    }
}
