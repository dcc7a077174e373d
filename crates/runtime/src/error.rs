//! What can go wrong, and what the kubelet is told.

use tonic::{Code, Status};

/// Why a request could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// `sandbox 0123…`
    #[error("{0} not found")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    /// What is asked for does not fit the state of what it is asked of.
    #[error("{0}")]
    Precondition(String),
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Timeout(String),
    /// What an earlier or a later release has left is not understood.
    #[error("{0}")]
    Version(String),
    /// A shim said so; the text says what it attempted.
    #[error("{0}")]
    Shim(String),
    #[error("{what}")]
    Failed {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The same kind of error, as the cause of a larger one.
    pub(crate) fn within(self, what: &str) -> Self {
        match self {
            Self::NotFound(found) => Self::NotFound(format!("{what}: {found}")),
            Self::Invalid(why) => Self::Invalid(format!("{what}: {why}")),
            Self::Precondition(why) => Self::Precondition(format!("{what}: {why}")),
            Self::Denied(why) => Self::Denied(format!("{what}: {why}")),
            Self::Timeout(why) => Self::Timeout(format!("{what}: {why}")),
            Self::Version(why) => Self::Version(format!("{what}: {why}")),
            Self::Shim(why) => Self::Shim(format!("{what}: {why}")),
            failed @ Self::Failed { .. } => Self::Failed { what: what.to_owned(), source: Box::new(failed) },
        }
    }

    /// The error and its causes in one line.
    pub(crate) fn words(&self) -> String {
        words(self)
    }
}

/// An error and its causes in one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::NotFound(_) => Code::NotFound,
            Error::Invalid(_) => Code::InvalidArgument,
            Error::Precondition(_) => Code::FailedPrecondition,
            Error::Denied(_) => Code::PermissionDenied,
            Error::Timeout(_) => Code::DeadlineExceeded,
            Error::Version(_) => Code::Unimplemented,
            Error::Shim(_) | Error::Failed { .. } => Code::Unknown,
        };
        Self::new(code, error.words())
    }
}

/// Says what was attempted when something fails.
pub(crate) trait Attempt<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Attempt<T> for std::result::Result<T, E> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Failed { what: what(), source: source.into() })
    }
}

/// Runs blocking work off the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.attempt(|| "running blocking work".into())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let error: Result<()> = Err(inner).attempt(|| "writing a".into());
        let status = Status::from(error.unwrap_err());
        assert_eq!((status.code(), status.message()), (Code::Unknown, "writing a: disk on fire"));
        assert_eq!(Status::from(Error::NotFound("sandbox x".into())).message(), "sandbox x not found");
    }
}
