//! Why a transaction was not applied.

use std::io;

/// What was attempted on what; the kernel's answer is the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open a netfilter netlink socket")]
    Open(#[source] io::Error),
    #[error("send a transaction of {bytes} bytes to the kernel")]
    Send { bytes: usize, source: io::Error },
    #[error("receive the kernel's answer")]
    Receive(#[source] io::Error),
    /// The kernel refused one object, so nothing was applied.
    #[error("{attempt}{}", detail.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// `add element of map services in table ip coracle-default-services`.
        attempt: String,
        /// The kernel's own words, when it has any.
        detail: Option<String>,
        source: io::Error,
    },
    /// The kernel gave no answer; whether the transaction took effect is unknown.
    #[error("the kernel did not confirm a transaction of {0} changes")]
    Unconfirmed(usize),
}

impl Error {
    /// Whether the kernel said that an object does not exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.raw_os_error() == Some(libc::ENOENT))
    }
}
