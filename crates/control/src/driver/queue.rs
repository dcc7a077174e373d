//! Keys to step: each waits at most once, and is never worked on twice at the same time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use informer::Key;
use tokio::time::Instant;

/// The work queue of one controller, after client-go's: a key added while it is worked on waits for the end of that.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<Key>,
    /// Wanted; those not in `processing` are in `order`.
    dirty: BTreeSet<Key>,
    processing: BTreeSet<Key>,
    due: BTreeMap<Key, Instant>,
    timeline: BTreeSet<(Instant, Key)>,
}

impl Queue {
    pub(super) fn add(&mut self, key: Key) {
        if self.dirty.contains(&key) {
            return;
        }
        if !self.processing.contains(&key) {
            self.order.push_back(key.clone());
        }
        self.dirty.insert(key);
    }

    /// Adds `key` at `when`, or earlier if that is planned already.
    pub(super) fn add_at(&mut self, key: Key, when: Instant) {
        if let Some(planned) = self.due.get(&key).copied() {
            if planned <= when {
                return;
            }
            self.timeline.remove(&(planned, key.clone()));
        }
        self.due.insert(key.clone(), when);
        self.timeline.insert((when, key));
    }

    /// The next key to work on. Ends what was planned for it: its step plans anew.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let key = self.order.pop_front()?;
        self.dirty.remove(&key);
        self.processing.insert(key.clone());
        if let Some(planned) = self.due.remove(&key) {
            self.timeline.remove(&(planned, key.clone()));
        }
        Some(key)
    }

    /// The end of the work on `key`.
    pub(super) fn done(&mut self, key: &Key) {
        self.processing.remove(key);
        if self.dirty.contains(key) {
            self.order.push_back(key.clone());
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timeline.first().map(|(when, _)| *when)
    }

    /// Adds every key whose time has come.
    pub(super) fn promote(&mut self, now: Instant) {
        while self.next_due().is_some_and(|when| when <= now) {
            if let Some((_, key)) = self.timeline.pop_first() {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(name: &str) -> Key {
        Key::new(None, name)
    }

    #[test]
    fn a_key_waits_once_and_is_not_worked_on_twice() {
        let mut queue = Queue::default();
        queue.add(key("a"));
        queue.add(key("a"));
        queue.add(key("b"));
        assert_eq!(queue.pop(), Some(key("a")));
        queue.add(key("a"));
        assert_eq!(queue.pop(), Some(key("b")));
        assert_eq!(queue.pop(), None);
        queue.done(&key("a"));
        assert_eq!(queue.pop(), Some(key("a")));
        queue.done(&key("a"));
        assert_eq!(queue.pop(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_planned_time_counts() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add_at(key("a"), now + Duration::from_secs(5));
        queue.add_at(key("a"), now + Duration::from_secs(9));
        queue.add_at(key("b"), now + Duration::from_secs(1));
        queue.promote(now + Duration::from_secs(1));
        assert_eq!((queue.pop(), queue.pop()), (Some(key("b")), None));
        queue.add(key("a"));
        assert_eq!(queue.pop(), Some(key("a")));
        assert_eq!(queue.next_due(), None);
    }
}
