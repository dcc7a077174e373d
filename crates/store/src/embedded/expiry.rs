//! Ends leases when their time has come.

use std::sync::Arc;
use std::time::Duration;

use host::{Host, OnEnd};

use super::plan::Operation;
use super::shared::Shared;
use super::writer::WeakWriter;

/// How long to wait before trying again when expiring failed.
const RETRY: Duration = Duration::from_secs(1);

/// Watches the leases of a store until it is closed.
pub(super) fn spawn(host: &Host, shared: &Arc<Shared>, writer: WeakWriter) {
    let mut ends_rx = shared.ends_tx.subscribe();
    let (clock, shutdown) = (host.clock.clone(), host.shutdown());
    host.tasks.spawn("store-expiry", OnEnd::Expected, async move {
        loop {
            let ends = *ends_rx.borrow_and_update();
            let wait = ends.map(|ends| u64::try_from(ends - clock.now().as_millisecond()).unwrap_or(0));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                changed = ends_rx.changed() => if changed.is_err() { return },
                () = sleep(wait) => {
                    let Some(writer) = writer.upgrade() else { return };
                    if let Err(error) = writer.submit(Operation::Expire).await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "cannot expire leases");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    });
}

async fn sleep(milliseconds: Option<u64>) {
    match milliseconds {
        Some(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
        None => std::future::pending().await,
    }
}
