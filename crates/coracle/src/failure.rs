//! What the user sees when a command fails: what was tried, on what, why it failed, what to do next.

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;

use host::RoleError;

/// The command line could not be understood.
pub(crate) const USAGE: u8 = 64;

/// A failed command, in words for the user.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Failure {
    /// What was tried, on what: `starting the cluster in /var/lib/coracle`.
    pub what: String,
    /// Why it failed, down to the cause.
    pub why: String,
    /// The next step, as a sentence or a command to type.
    pub next: Option<String>,
}

impl Failure {
    pub fn new(what: impl Into<String>, why: impl Display) -> Self {
        Self { what: what.into(), why: why.to_string(), next: None }
    }

    /// Like [`Failure::new`], with the whole chain of causes.
    pub fn caused(what: impl Into<String>, error: &dyn Error) -> Self {
        Self::new(what, chain(error))
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    #[expect(clippy::print_stderr, reason = "this is where failures reach the user")]
    pub(crate) fn print(&self) -> ExitCode {
        eprintln!("error: {}\n  cause: {}", self.what, self.why);
        if let Some(next) = &self.next {
            eprintln!("  next: {next}");
        }
        ExitCode::FAILURE
    }
}

impl From<RoleError> for Failure {
    fn from(error: RoleError) -> Self {
        Self { what: error.what, why: error.why, next: error.next }
    }
}

/// The error and its sources, joined by colons.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
