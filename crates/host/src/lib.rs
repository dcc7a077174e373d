//! The process's outside behind narrow traits: clock, entropy, tasks, shutdown and roles.
//!
//! Everything that differs between production and a test on virtual time enters through [`Host`].

mod clock;
mod entropy;
mod role;
mod tasks;
mod tree;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use role::{Ready, Role, RoleError, RoleState};
pub use tasks::{OnEnd, Tasks};
pub use tokio_util::sync::CancellationToken as Shutdown;
pub use tree::remove_tree;

use std::sync::Arc;

use jiff::Timestamp;

/// What a role may take from the outside; cheap to clone.
#[derive(Clone)]
pub struct Host {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub tasks: Tasks,
}

impl Host {
    /// The real clock, the kernel's randomness, and a fresh set of tasks.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), tasks: Tasks::new() }
    }

    /// Virtual time that starts at `start` and follows tokio's (pausable) clock, and randomness from `seed`.
    #[must_use]
    pub fn simulated(start: Timestamp, seed: u64) -> Self {
        Self {
            clock: Arc::new(VirtualClock::new(start)),
            entropy: Arc::new(SeededEntropy::new(seed)),
            tasks: Tasks::new(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The signal that ends everything spawned on this host.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.tasks.shutdown()
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}
