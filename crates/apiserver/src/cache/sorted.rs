//! A sorted map whose copies cost nothing: readers take one and walk it while the writer goes on.

use std::sync::Arc;

use super::entry::Entry;

/// Entries in one chunk; a full one is split. A write beside a living copy clones one chunk and the list of chunks.
const CHUNK: usize = 256;

type Chunk = Vec<Arc<Entry>>;

/// Entries ordered by key.
#[derive(Debug, Clone, Default)]
pub struct Sorted {
    /// Never holds an empty chunk.
    chunks: Arc<Vec<Arc<Chunk>>>,
    len: usize,
}

impl Sorted {
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        let chunk = &self.chunks.get(self.chunk_of(key))?;
        chunk.binary_search_by(|entry| entry.key().cmp(key)).ok().map(|at| &chunk[at])
    }

    /// Puts `entry` in place of the one with its key, which is returned.
    pub fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let at = self.chunk_of(entry.key());
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.is_empty() {
            chunks.push(Arc::default());
        }
        let at = at.min(chunks.len() - 1);
        let chunk = Arc::make_mut(&mut chunks[at]);
        match chunk.binary_search_by(|other| other.key().cmp(entry.key())) {
            Ok(found) => Some(std::mem::replace(&mut chunk[found], entry)),
            Err(gap) => {
                chunk.insert(gap, entry);
                self.len += 1;
                if chunk.len() > CHUNK {
                    let upper = split(chunk);
                    chunks.insert(at + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Arc<Entry>> {
        let at = self.chunk_of(key);
        let found = self.chunks.get(at)?.binary_search_by(|entry| entry.key().cmp(key)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[at]);
        let removed = chunk.remove(found);
        if chunk.is_empty() {
            chunks.remove(at);
        }
        self.len -= 1;
        Some(removed)
    }

    /// The entries from the first key not below `start`, in order.
    pub fn from(&self, start: &str) -> impl Iterator<Item = &Arc<Entry>> {
        let at = self.chunk_of(start);
        let within = self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(|entry| entry.key() < start));
        self.chunks.get(at..).unwrap_or_default().iter().flat_map(|chunk| chunk.iter()).skip(within)
    }

    /// The entries whose keys begin with `prefix`, in order.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.from(prefix).take_while(move |entry| entry.key().starts_with(prefix))
    }

    /// The chunk that holds `key`, or would.
    fn chunk_of(&self, key: &str) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.key() < key))
    }
}

impl FromIterator<Arc<Entry>> for Sorted {
    fn from_iter<T: IntoIterator<Item = Arc<Entry>>>(entries: T) -> Self {
        let mut sorted = Self::default();
        for entry in entries {
            sorted.insert(entry);
        }
        sorted
    }
}

/// Takes the upper half. Ascending inserts would leave half-full chunks behind, so the lower half is trimmed.
fn split(chunk: &mut Chunk) -> Chunk {
    let upper = chunk.split_off(chunk.len() / 2);
    chunk.shrink_to_fit();
    upper
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(key: &str, revision: u64) -> Arc<Entry> {
        Arc::new(Entry::for_test(key, revision))
    }

    fn keys(sorted: &Sorted) -> Vec<(String, u64)> {
        sorted.from("").map(|entry| (entry.key().to_owned(), entry.revision())).collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((0..900_u32, any::<bool>()), 0..3000)) {
            let (mut sorted, mut model) = (Sorted::default(), BTreeMap::new());
            for (revision, (key, insert)) in (0..).zip(steps) {
                let key = format!("ns/{key:04}");
                if insert {
                    let old = sorted.insert(entry(&key, revision)).map(|entry| entry.revision());
                    prop_assert_eq!(old, model.insert(key.clone(), revision));
                } else {
                    prop_assert_eq!(sorted.remove(&key).map(|entry| entry.revision()), model.remove(&key));
                }
                prop_assert_eq!(sorted.get(&key).map(|entry| entry.revision()), model.get(&key).copied());
            }
            prop_assert_eq!(sorted.len(), model.len());
            prop_assert_eq!(keys(&sorted), model.clone().into_iter().collect::<Vec<_>>());
            let tail: Vec<_> = sorted.from("ns/0450").map(|entry| entry.key().to_owned()).collect();
            prop_assert_eq!(tail, model.range("ns/0450".to_owned()..).map(|(key, _)| key.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut sorted: Sorted = (0..1000).map(|n| entry(&format!("{n:04}"), n)).collect();
        let copy = sorted.clone();
        sorted.insert(entry("0500", 5000));
        sorted.remove("0001");
        assert_eq!((copy.len(), copy.get("0500").map(|e| e.revision())), (1000, Some(500)));
        assert_eq!((sorted.len(), sorted.get("0500").map(|e| e.revision())), (999, Some(5000)));
    }

    #[test]
    fn prefixes_select_namespaces() {
        let sorted: Sorted = ["a-b/x", "a/x", "a/y", "b/x"].iter().map(|key| entry(key, 1)).collect();
        assert_eq!(sorted.under("a/").map(|entry| entry.key()).collect::<Vec<_>>(), ["a/x", "a/y"]);
        assert_eq!(sorted.under("").count(), 4);
        assert_eq!(sorted.under("c/").count(), 0);
    }
}
