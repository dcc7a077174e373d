//! Certificate authorities, certificates, service-account keys and kubeconfig files on disk.
//!
//! A [`Pki`] is a directory. Everything in it is made on first demand, loaded afterwards, and made again when it is
//! about to expire or no longer says what it should.

mod authority;
mod certificate;
mod directory;
mod file;
pub mod kubeconfig;
mod lock;
mod signing;
#[cfg(test)]
mod tests;
mod tls;

use std::path::{Path, PathBuf};

pub use authority::Authority;
pub use certificate::{Certified, Profile, Usage};
pub use directory::Pki;
pub use signing::{SigningKey, VerifyingKey};
pub use tls::{client_config, server_config};

/// Why keys, certificates or files could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {path}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} holds {what}", path = path.display())]
    Content { what: String, path: PathBuf },
    #[error("the authority in {path} has expired; remove it and its key to make another one, which no present client will trust", path = path.display())]
    Expired { path: PathBuf },
    #[error("{path} is being written by another program; if none is, remove {lock}", path = path.display(), lock = lock.display())]
    Locked { path: PathBuf, lock: PathBuf },
    #[error("making a certificate for {name:?}")]
    Certificate { name: String, source: rcgen::Error },
    #[error("making a key")]
    Key,
    #[error("configuring TLS")]
    Tls(#[from] rustls::Error),
}

impl Error {
    fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, path: path.to_owned(), source }
    }

    fn content(what: impl Into<String>, path: &Path) -> Self {
        Self::Content { what: what.into(), path: path.to_owned() }
    }
}
