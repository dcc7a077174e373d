//! Runs a list of roles: starts them together, reports the first that fails, stops them in one bounded drain.

use std::time::Duration;

use host::{Host, OnEnd, Ready, Role, RoleError};
use tokio::sync::mpsc;

use crate::Failure;
use crate::progress;

/// Longest time that stopping may take before the process ends anyway.
const DRAIN: Duration = Duration::from_secs(20);

/// Running roles.
pub(crate) struct Supervisor {
    host: Host,
    readiness: Vec<(&'static str, tokio::sync::watch::Receiver<host::RoleState>)>,
    // role --its end--> supervisor
    end_tx: mpsc::UnboundedSender<End>,
    end_rx: mpsc::UnboundedReceiver<End>,
}

/// A role's name, and how it ended.
type End = (&'static str, Result<(), RoleError>);

impl Supervisor {
    pub(crate) fn start(host: Host, roles: Vec<Box<dyn Role>>) -> Self {
        let (end_tx, end_rx) = mpsc::unbounded_channel();
        let mut supervisor = Self { host, readiness: Vec::new(), end_tx, end_rx };
        supervisor.add(roles);
        supervisor
    }

    /// Starts more roles beside those that run.
    pub(crate) fn add(&mut self, roles: Vec<Box<dyn Role>>) {
        for role in roles {
            let (ready, state) = Ready::new();
            let (name, context, end_tx) = (role.name(), self.host.clone(), self.end_tx.clone());
            self.readiness.push((name, state));
            self.host.tasks.spawn(name, OnEnd::Expected, async move {
                let end = role.run(context, ready).await;
                // Nobody listens any more when the supervisor is stopping.
                let _ = end_tx.send((name, end));
            });
        }
    }

    /// Shows progress until every role that was started since the last call is ready; fails with the first role that ends before.
    pub(crate) async fn ready(&mut self) -> Result<(), Failure> {
        let readiness = std::mem::take(&mut self.readiness);
        tokio::select! {
            biased;
            failure = self.failed() => Err(failure),
            () = progress::until_ready(readiness) => Ok(()),
        }
    }

    /// Resolves when a role ends though nobody asked it to.
    pub(crate) async fn failed(&mut self) -> Failure {
        match self.end_rx.recv().await {
            Some((name, Err(error))) => {
                Failure { what: format!("{name}: {}", error.what), why: error.why, next: error.next }
            }
            Some((name, Ok(()))) => Failure::new(format!("running {name}"), "it ended by itself"),
            None => Failure::new("running the cluster", "every role has ended"),
        }
    }

    /// Signals shutdown to every role and waits, bounded.
    pub(crate) async fn stop(self) {
        if !self.host.tasks.drain(DRAIN).await {
            tracing::warn!(alive = self.host.tasks.alive(), "some tasks did not end in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    struct Good;
    struct Bad;

    #[async_trait::async_trait]
    impl Role for Good {
        fn name(&self) -> &'static str {
            "good"
        }
        async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
            ready.done();
            host.shutdown().cancelled().await;
            Ok(())
        }
    }

    #[async_trait::async_trait]
    impl Role for Bad {
        fn name(&self) -> &'static str {
            "bad"
        }
        async fn run(self: Box<Self>, _host: Host, _ready: Ready) -> Result<(), RoleError> {
            Err(RoleError::new("listening on 127.0.0.1:1", "permission denied").next("choose another port"))
        }
    }

    #[tokio::test]
    async fn all_ready_then_stopped() {
        let mut supervisor = Supervisor::start(Host::system(), vec![Box::new(Good), Box::new(Good)]);
        supervisor.ready().await.unwrap();
        supervisor.stop().await;
    }

    #[tokio::test]
    async fn a_failed_role_is_named_with_cause_and_next_step() {
        let mut supervisor = Supervisor::start(Host::system(), vec![Box::new(Good), Box::new(Bad)]);
        let failure = tokio::select! {
            biased;
            result = supervisor.ready() => result.unwrap_err(),
            () = pending() => unreachable!("pending never ends"),
        };
        assert_eq!(failure.what, "bad: listening on 127.0.0.1:1");
        assert_eq!(failure.next.as_deref(), Some("choose another port"));
    }
}
