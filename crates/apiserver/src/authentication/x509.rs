//! Client certificates: the common name is the user, the organizations are the groups.

use std::sync::Arc;
use std::time::Duration;

use host::Clock;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CREDENTIAL_ID, Cached};
use crate::user::User;

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("verifying the client's certificate")]
    Untrusted(#[from] rustls::Error),
    #[error("the client's certificate is malformed")]
    Malformed,
    #[error("the client's certificate names no user")]
    Nameless,
}

/// Knows users by certificates of certain authorities.
pub struct ClientCertificates {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    clock: Arc<dyn Clock>,
    known: Cached<User>,
}

impl ClientCertificates {
    /// Trusts these authorities; with none, no certificate is looked at.
    ///
    /// # Errors
    /// When an authority's certificate cannot be used.
    pub fn new(roots: RootCertStore, clock: Arc<dyn Clock>) -> Result<Self, rustls::server::VerifierBuilderError> {
        let verifier = if roots.is_empty() {
            None
        } else {
            let provider = Arc::new(ring::default_provider());
            Some(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
        };
        Ok(Self { verifier, clock, known: Cached::new() })
    }

    /// The user that the chain, the client's own certificate first, proves; `None` without a chain.
    ///
    /// # Errors
    /// When the chain is not of these authorities, has expired, is not for clients, or names nobody.
    pub fn user(&self, chain: &[CertificateDer<'_>]) -> Result<Option<User>, CertificateError> {
        let (Some(verifier), Some((own, intermediates))) = (&self.verifier, chain.split_first()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let verify = || {
            let seconds = u64::try_from(now.as_second()).unwrap_or(0);
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            verifier.verify_client_cert(own, intermediates, time)?;
            user_of(own)
        };
        self.known.get(own, now, verify).map(Some)
    }
}

/// The user that a verified certificate names, and until when.
fn user_of(certificate: &CertificateDer<'_>) -> Result<(User, Timestamp), CertificateError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::Malformed)?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default();
    if name.is_empty() {
        return Err(CertificateError::Nameless);
    }
    let mut user = User::new(name);
    user.groups = subject.iter_organization().filter_map(|group| group.as_str().ok()).map(str::to_owned).collect();
    let digest = hex::encode(Sha256::digest(certificate));
    user.extra.insert(CREDENTIAL_ID.into(), vec![format!("X509SHA256={digest}")]);
    let until = Timestamp::from_second(parsed.validity().not_after.timestamp());
    Ok((user, until.map_err(|_| CertificateError::Malformed)?))
}
