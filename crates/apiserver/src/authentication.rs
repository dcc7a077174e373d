//! Who makes a request: client certificates and service-account tokens.

mod bearer;
mod cached;
mod review;
mod x509;

use std::sync::Arc;

use async_trait::async_trait;

use crate::access::{Authenticator, Credentials};
use crate::error::{Error, Result};
use crate::token::Tokens;
use crate::user::{Peer, User};

pub use bearer::bearer;
pub(crate) use bearer::subprotocols_without_token;
pub(crate) use cached::Cached;
pub(crate) use review::set_status;
pub use review::{SelfSubjectReviews, TokenReviews};
pub use x509::ClientCertificates;

/// The extra attribute that names the credential that was shown.
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// A client certificate, else a bearer token.
pub struct Authentications {
    pub certificates: ClientCertificates,
    pub tokens: Arc<Tokens>,
}

#[async_trait]
impl Authenticator for Authentications {
    /// Any credential that is right is enough; without one, any that is wrong is refused.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>> {
        let chain = match credentials.peer {
            Peer::Tls { certificates, .. } => &**certificates,
            Peer::Memory(_) => &[],
        };
        let certified = self.certificates.user(chain);
        if let Ok(Some(user)) = certified {
            return Ok(Some(user));
        }
        if let Some(token) = bearer(credentials.headers) {
            return match self.tokens.authenticate(&token, self.tokens.audiences()) {
                Ok(authenticated) => Ok(Some(authenticated.user)),
                Err(error) => {
                    tracing::debug!(%error, "a bearer token was refused");
                    Err(Error::unauthorized())
                }
            };
        }
        certified.map_err(|error| {
            tracing::debug!(%error, "a client certificate was refused");
            Error::unauthorized()
        })
    }
}
