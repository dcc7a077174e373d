//! The two ways a user stops the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Failure;

/// Why the process should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C or `coracle down`: the cluster stops, and its pods with it.
    WithPods,
    /// SIGTERM, as an upgrade or a service manager sends it: the pods go on.
    LeavePods,
}

/// Both signals, caught from the moment this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn catch() -> Result<Self, Failure> {
        let failed = |e| Failure::new("installing signal handlers", e);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Stop::WithPods,
            _ = self.terminate.recv() => Stop::LeavePods,
        }
    }
}
