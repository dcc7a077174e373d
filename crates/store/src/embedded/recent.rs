//! The latest events in memory, so that watches that keep up never read the disk.

use std::collections::VecDeque;

use crate::contract::{Event, Revision};

/// How many bytes of keys and values are held.
const CAPACITY: usize = 4 << 20;

/// Events of consecutive revisions, ending with the present one.
#[derive(Debug, Default)]
pub(super) struct Recent {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, event: Event) {
        self.bytes += weight(&event);
        self.events.push_back(event);
        while self.bytes > CAPACITY {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= weight(&oldest);
        }
    }

    /// Up to `limit` events after a revision, or `None` when some of them are no longer here.
    pub(super) fn after(&self, revision: Revision, limit: usize) -> Option<impl Iterator<Item = &Event>> {
        let first = self.events.front()?.revision();
        let skip = usize::try_from((revision + 1).checked_sub(first)?).ok()?;
        Some(self.events.iter().skip(skip).take(limit))
    }
}

fn weight(event: &Event) -> usize {
    let value = match event {
        Event::Put(entry) => entry.value.len(),
        Event::Delete { .. } => 0,
    };
    size_of::<Event>() + event.key().len() + value
}
