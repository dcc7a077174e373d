//! What can go wrong with the node's pod network.

use std::io;
use std::path::PathBuf;

/// What was attempted on what; the kernel's answer is the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}")]
    System { what: String, source: io::Error },
    #[error("invalid network options: {0}")]
    Options(String),
    #[error("no free address in {0}: every address is held by a pod")]
    Exhausted(String),
    #[error("{path} has version {found}, this program reads version {known}", path = path.display())]
    Version { path: PathBuf, found: u64, known: u64 },
    #[error("programming the pod firewall")]
    Firewall(#[from] netfilter::Error),
    #[error("{0} ended unexpectedly")]
    Worker(&'static str),
}

impl Error {
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    pub(crate) fn errno(what: impl Into<String>) -> impl FnOnce(nix::Error) -> Self {
        let what = what.into();
        move |errno| Self::System { what, source: errno.into() }
    }
}
