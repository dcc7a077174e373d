//! Regular compaction: history older than an interval is forgotten.

use std::sync::Arc;
use std::time::Duration;

use host::{Host, OnEnd};

use crate::{Error, Revision, Store};

/// How long history is kept unless told otherwise: clients page through lists and resume watches within it.
pub const KEEP_HISTORY: Duration = Duration::from_secs(5 * 60);

/// Every `interval`, compacts `store` to the revision that was present one interval ago, until the host shuts down.
///
/// Several servers on one store may each do this: compacting twice is no error.
pub fn keep_compacting(store: Arc<dyn Store>, host: &Host, interval: Duration) {
    let shutdown = host.shutdown();
    host.tasks.spawn("store-compaction", OnEnd::Fatal, async move {
        let mut before = None;
        loop {
            match compact_once(&*store, before).await {
                Ok(revision) => before = Some(revision),
                Err(Error::Closed) => return,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot compact the store"),
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
        }
    });
}

async fn compact_once(store: &dyn Store, before: Option<Revision>) -> Result<Revision, Error> {
    if let Some(revision) = before {
        store.compact(revision).await?;
    }
    store.revision().await
}
