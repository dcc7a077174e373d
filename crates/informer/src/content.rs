//! What a cache holds: objects by namespace and name, user-supplied indexes, and the subscribers to tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::changes::Queue;
use crate::object::{Key, Object};

/// Says under which values an index finds an object.
pub(crate) type IndexFn<K> = fn(&K) -> Vec<String>;

#[derive(Debug)]
pub(crate) struct Content<K> {
    objects: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<K>>>,
    count: usize,
    indexes: Vec<IndexData<K>>,
    subscribers: Vec<Weak<Queue<K>>>,
    closed: bool,
}

#[derive(Debug)]
struct IndexData<K> {
    name: &'static str,
    values: IndexFn<K>,
    entries: BTreeMap<String, BTreeMap<Key, Arc<K>>>,
}

impl<K: Object> Content<K> {
    pub(crate) fn new() -> Self {
        Self { objects: BTreeMap::new(), count: 0, indexes: Vec::new(), subscribers: Vec::new(), closed: false }
    }

    pub(crate) fn get(&self, namespace: Option<&str>, name: &str) -> Option<&Arc<K>> {
        self.objects.get(namespace.unwrap_or_default())?.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// All objects, by namespace and name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<K>> {
        self.objects.values().flat_map(BTreeMap::values)
    }

    pub(crate) fn iter_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<K>> {
        self.objects.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// The objects an index finds under `value`, by key. The index must have been added.
    pub(crate) fn indexed(&self, index: usize, value: &str) -> impl Iterator<Item = &Arc<K>> {
        self.indexes[index].entries.get(value).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn find_index(&self, name: &str) -> Option<usize> {
        self.indexes.iter().position(|index| index.name == name)
    }

    /// Adds an index over the present and future content, or finds the one of that name.
    pub(crate) fn add_index(&mut self, name: &'static str, values: IndexFn<K>) -> usize {
        if let Some(position) = self.find_index(name) {
            return position;
        }
        let mut index = IndexData { name, values, entries: BTreeMap::new() };
        for object in self.iter() {
            index.insert(&object.key(), object);
        }
        self.indexes.push(index);
        self.indexes.len() - 1
    }

    /// A subscriber that starts with the present content.
    pub(crate) fn subscribe(&mut self) -> Arc<Queue<K>> {
        let queue = Arc::new(Queue::new());
        for object in self.iter() {
            queue.push(&object.key(), None, Some(object));
        }
        if self.closed {
            queue.close();
        }
        self.subscribers.push(Arc::downgrade(&queue));
        queue
    }

    /// Takes over `object` unless a newer version of the same object is already there.
    pub(crate) fn apply(&mut self, object: K) {
        let key = object.key();
        let known = self.get(key.namespace(), key.name());
        if known.is_some_and(|known| known.uid() == object.uid() && known.revision() >= object.revision()) {
            return;
        }
        self.set(&key, Some(Arc::new(object)));
    }

    /// Forgets the object under `key`.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.set(key, None);
    }

    /// Makes `objects` the whole content. Subscribers hear of the difference only.
    pub(crate) fn replace(&mut self, objects: Vec<K>) {
        let mut gone: BTreeMap<Key, ()> = self.iter().map(|object| (object.key(), ())).collect();
        let mut changed = Vec::new();
        for object in objects {
            let key = object.key();
            gone.remove(&key);
            let known = self.get(key.namespace(), key.name());
            if known.is_none_or(|known| known.uid() != object.uid() || known.revision() != object.revision()) {
                changed.push((key, Arc::new(object)));
            }
        }
        for key in gone.into_keys() {
            self.set(&key, None);
        }
        for (key, object) in changed {
            self.set(&key, Some(object));
        }
    }

    /// Tells every subscriber, present and future, that nothing more will come.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        for queue in self.subscribers.iter().filter_map(Weak::upgrade) {
            queue.close();
        }
    }

    fn set(&mut self, key: &Key, new: Option<Arc<K>>) {
        let old = self.swap(key, new.clone());
        if old.is_none() && new.is_none() {
            return;
        }
        for index in &mut self.indexes {
            if let Some(old) = &old {
                index.remove(key, old);
            }
            if let Some(new) = &new {
                index.insert(key, new);
            }
        }
        self.subscribers.retain(|subscriber| match subscriber.upgrade() {
            Some(queue) => {
                queue.push(key, old.as_ref(), new.as_ref());
                true
            }
            None => false,
        });
    }

    fn swap(&mut self, key: &Key, new: Option<Arc<K>>) -> Option<Arc<K>> {
        let Some(new) = new else {
            let names = self.objects.get_mut(&key.namespace)?;
            let old = names.remove(&key.name)?;
            if names.is_empty() {
                self.objects.remove(&key.namespace);
            }
            self.count -= 1;
            return Some(old);
        };
        let names = self.objects.entry(Arc::clone(&key.namespace)).or_default();
        let old = names.insert(Arc::clone(&key.name), new);
        self.count += usize::from(old.is_none());
        old
    }
}

impl<K> IndexData<K> {
    fn insert(&mut self, key: &Key, object: &Arc<K>) {
        for value in (self.values)(object) {
            self.entries.entry(value).or_default().insert(key.clone(), Arc::clone(object));
        }
    }

    fn remove(&mut self, key: &Key, object: &K) {
        for value in (self.values)(object) {
            if let Some(found) = self.entries.get_mut(&value) {
                found.remove(key);
                if found.is_empty() {
                    self.entries.remove(&value);
                }
            }
        }
    }
}
