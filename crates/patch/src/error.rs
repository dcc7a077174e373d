//! Why a patch could not be applied.

/// Told apart by whose fault it is, which decides the status code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The patch itself is wrong (400).
    #[error("{0}")]
    Malformed(String),
    /// The patch asks for too much work (413).
    #[error("{0}")]
    TooLarge(String),
    /// The patch does not fit the object (422).
    #[error("{0}")]
    Rejected(String),
}
