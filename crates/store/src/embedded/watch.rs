//! Watches: cursors over the log that wait at its end.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;

use super::format::{HEADS, Head};
use super::shared::{Progress, Shared, unreadable, value};
use crate::Error;
use crate::contract::{Batch, Entry, Event, Revision, Watch};

/// The most revisions one batch covers.
const BATCH: usize = 1024;

/// The most bytes of values read from the disk for one batch (and then some for the last).
const BATCH_BYTES: usize = 4 << 20;

struct Cursor {
    shared: Arc<Shared>,
    prefix: String,
    /// Delivered up to here.
    after: Revision,
    progress_rx: watch::Receiver<Progress>,
}

/// A watch of what comes under `prefix` after revision `after`.
pub(super) fn open(shared: &Arc<Shared>, prefix: &str, after: Revision) -> Result<Watch, Error> {
    let state = shared.state();
    if after > state.revision {
        return Err(Error::Future { requested: after, current: state.revision });
    }
    if after < state.compacted {
        return Err(Error::Compacted { requested: after, compacted: state.compacted });
    }
    let progress_rx = shared.progress_tx.subscribe();
    let cursor = Cursor { shared: shared.clone(), prefix: prefix.to_owned(), after, progress_rx };
    let batches = stream::unfold(Some(cursor), |cursor| async {
        let mut cursor = cursor?;
        let batch = cursor.next().await;
        let cursor = batch.is_ok().then_some(cursor);
        Some((batch, cursor))
    });
    Ok(Watch::new(batches.boxed()))
}

impl Cursor {
    async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            let progress = *self.progress_rx.borrow_and_update();
            if progress.revision > self.after {
                let batch = self.take(progress.revision)?;
                self.after = batch.revision;
                return Ok(batch);
            }
            if progress.closed {
                return Err(Error::Closed);
            }
            self.progress_rx.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    /// What comes next, up to revision `present`, from memory if it is still there.
    fn take(&self, present: Revision) -> Result<Batch, Error> {
        if let Some(batch) = self.take_recent(present) {
            return Ok(batch);
        }
        let state = self.shared.state();
        if self.after < state.compacted {
            return Err(Error::Compacted { requested: self.after, compacted: state.compacted });
        }
        let read = state.begin_read()?;
        drop(state);
        self.take_logged(&read, present)
    }

    fn take_recent(&self, present: Revision) -> Option<Batch> {
        let recent = self.shared.recent();
        let mut batch = Batch { events: Vec::new(), revision: self.after };
        for event in recent.after(self.after, BATCH)?.take_while(|e| e.revision() <= present) {
            batch.revision = event.revision();
            if event.key().starts_with(&self.prefix) {
                batch.events.push(event.clone());
            }
        }
        Some(batch)
    }

    fn take_logged(&self, read: &redb::ReadTransaction, present: Revision) -> Result<Batch, Error> {
        let heads = read.open_table(HEADS).map_err(unreadable)?;
        let mut batch = Batch { events: Vec::new(), revision: present };
        let (mut rows, mut bytes) = (0, 0);
        for row in heads.range(self.after + 1..=present).map_err(unreadable)? {
            let (revision, head) = row.map_err(unreadable)?;
            let revision = revision.value();
            let head = Head::decode(head.value())
                .ok_or_else(|| Error::Corrupt(format!("the head of revision {revision} cannot be read")))?;
            if head.key.starts_with(&self.prefix) {
                let event = event(read, revision, head)?;
                bytes += if let Event::Put(entry) = &event { entry.value.len() } else { 0 };
                batch.events.push(event);
            }
            rows += 1;
            if rows == BATCH || bytes >= BATCH_BYTES {
                batch.revision = revision;
                break;
            }
        }
        Ok(batch)
    }
}

fn event(read: &redb::ReadTransaction, revision: Revision, head: Head) -> Result<Event, Error> {
    let Head { key, created, .. } = head;
    if created == 0 {
        return Ok(Event::Delete { key, revision });
    }
    Ok(Event::Put(Entry { key, value: value(read, revision)?, created, modified: revision }))
}
