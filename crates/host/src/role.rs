//! A role: a value with options that runs until shutdown and reports when it is ready.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::Host;

/// One part of a cluster: API server, scheduler, kubelet, …
#[async_trait]
pub trait Role: Send + 'static {
    /// The name that users see: `apiserver`, `kubelet`.
    fn name(&self) -> &'static str;

    /// Runs until `host.shutdown()`; an early end is an error. Calls [`Ready::done`] once it serves.
    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError>;
}

/// Why a role could not start or go on, in words for the user.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct RoleError {
    /// What was tried, on what: `listening on 127.0.0.1:6443`.
    pub what: String,
    /// Why it failed, down to the cause.
    pub why: String,
    /// What to do next, if anything is known.
    pub next: Option<String>,
}

impl RoleError {
    pub fn new(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), next: None }
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

/// How far a role has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleState {
    /// Still starting; the text says with what.
    Starting(String),
    Ready,
}

/// The role's end of its readiness; the other end shows progress and orders start-up.
#[derive(Debug, Clone)]
pub struct Ready(watch::Sender<RoleState>);

impl Ready {
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<RoleState>) {
        let (tx, rx) = watch::channel(RoleState::Starting("starting".into()));
        (Self(tx), rx)
    }

    /// Says what the role is busy with.
    pub fn report(&self, progress: impl Into<String>) {
        self.0.send_replace(RoleState::Starting(progress.into()));
    }

    pub fn done(&self) {
        self.0.send_replace(RoleState::Ready);
    }
}
