//! Watches on etcd's own.

use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use futures::{StreamExt, stream};
use tokio::sync::watch as signal;

use super::convert::{self, classify, from_wire, to_wire};
use crate::Error;
use crate::contract::{Batch, Event, Revision, Watch};

struct Open {
    stream: WatchStream,
    prefix: String,
    /// Delivered up to here.
    after: Revision,
    /// Whether empty answers may be believed.
    reports_progress: bool,
    /// Closes never: it lives as long as the store, and a closed one is ignored.
    asks_rx: signal::Receiver<()>,
}

pub(super) fn options(after: Revision) -> WatchOptions {
    WatchOptions::new().with_prefix().with_start_revision(to_wire(after.saturating_add(1))).with_progress_notify()
}

/// Turns etcd's stream into ours.
pub(super) fn open(
    stream: WatchStream,
    prefix: String,
    after: Revision,
    reports_progress: bool,
    asks_rx: signal::Receiver<()>,
) -> Watch {
    let open = Open { stream, prefix, after, reports_progress, asks_rx };
    let batches = stream::unfold(Some(open), |open| async {
        let mut open = open?;
        let batch = open.next().await;
        let open = batch.is_ok().then_some(open);
        Some((batch, open))
    });
    Watch::new(batches.boxed())
}

impl Open {
    async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            let asked = async {
                if self.asks_rx.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let answer = tokio::select! {
                biased;
                () = asked => {
                    self.stream.request_progress().await.map_err(|e| classify("watch", e))?;
                    continue;
                }
                answer = self.stream.message() => answer.map_err(|e| classify("watch", e))?,
            };
            let answer = answer.ok_or(Error::Closed)?;
            if let Some(batch) = self.batch(&answer)? {
                self.after = batch.revision;
                return Ok(batch);
            }
        }
    }

    /// What an answer tells, if anything.
    fn batch(&self, answer: &WatchResponse) -> Result<Option<Batch>, Error> {
        if answer.canceled() {
            return Err(self.cancelled(answer));
        }
        let events = answer.events().iter().map(|e| event(e, &self.prefix)).collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = events.last() {
            return Ok(Some(Batch { revision: last.revision(), events }));
        }
        let revision = from_wire(answer.header().map_or(0, etcd_client::ResponseHeader::revision));
        let progress = self.reports_progress && !answer.created() && revision > self.after;
        Ok(progress.then_some(Batch { events, revision }))
    }

    fn cancelled(&self, answer: &WatchResponse) -> Error {
        if answer.compact_revision() > 0 {
            return Error::Compacted { requested: self.after, compacted: from_wire(answer.compact_revision()) };
        }
        Error::unavailable("go on watching etcd", std::io::Error::other(answer.cancel_reason().to_owned()))
    }
}

fn event(event: &etcd_client::Event, prefix: &str) -> Result<Event, Error> {
    let kv = event.kv().ok_or_else(|| Error::Corrupt("an event of etcd has no key".to_owned()))?;
    Ok(match event.event_type() {
        EventType::Put => Event::Put(convert::entry(kv, prefix)?),
        EventType::Delete => {
            Event::Delete { key: convert::key(kv, prefix)?.into(), revision: from_wire(kv.mod_revision()) }
        }
    })
}
