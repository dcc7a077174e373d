//! The one way to spawn a task: named, with what its end means, under one shutdown signal and one bounded drain.

use std::future::Future;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the end of a task means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// A connection, a request, a container: it may end at any time.
    Expected,
    /// A loop the process cannot do without: its end before shutdown shuts the process down.
    Fatal,
}

/// Spawns tasks and waits for their end; cheap to clone.
///
/// [`Tasks::child`] makes a group that can be shut down and drained alone and also ends with its parent.
#[derive(Clone, Debug)]
pub struct Tasks {
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    #[must_use]
    pub fn new() -> Self {
        Self { shutdown: CancellationToken::new(), tracker: TaskTracker::new() }
    }

    /// A group of its own that ends when this one does.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { shutdown: self.shutdown.child_token(), tracker: TaskTracker::new() }
    }

    /// The signal that tells tasks to finish. Tasks watch it themselves.
    #[must_use]
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Spawns `future` under `name`.
    pub fn spawn<F>(&self, name: &'static str, on_end: OnEnd, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guard = EndGuard { name, on_end, shutdown: self.shutdown.clone() };
        self.track(async move {
            let _guard = guard;
            future.await;
        })
        .abort_handle()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    fn track<F>(&self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(future))
    }

    /// Signals shutdown and waits for every task, at most `limit`. Returns whether all ended in time.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }

    /// How many tasks are alive.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.tracker.len()
    }
}

/// Dropped when the task ends in whatever way: return, panic or abort.
struct EndGuard {
    name: &'static str,
    on_end: OnEnd,
    shutdown: CancellationToken,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if self.on_end == OnEnd::Fatal && !self.shutdown.is_cancelled() {
            tracing::error!(task = self.name, "a task that must not end has ended, shutting down");
            self.shutdown.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fatal_end_shuts_down() {
        let tasks = Tasks::new();
        tasks.spawn("short", OnEnd::Fatal, async {});
        tasks.shutdown().cancelled().await;
        assert!(tasks.drain(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expected_end_does_not() {
        let tasks = Tasks::new();
        tasks.spawn("short", OnEnd::Expected, async {});
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!tasks.shutdown().is_cancelled());
        assert_eq!(tasks.alive(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_is_bounded() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", OnEnd::Expected, std::future::pending());
        assert!(!tasks.drain(Duration::from_secs(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_ends_with_its_parent_but_not_the_other_way() {
        let parent = Tasks::new();
        let child = parent.child();
        assert!(child.drain(Duration::from_secs(1)).await);
        assert!(!parent.shutdown().is_cancelled());
        let other = parent.child();
        parent.drain(Duration::from_secs(1)).await;
        assert!(other.shutdown().is_cancelled());
    }
}
