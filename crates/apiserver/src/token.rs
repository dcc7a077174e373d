//! Service-account tokens: signed, bound to objects, and good only as long as those are there.

mod claims;
mod discovery;
mod jws;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use host::Host;
use jiff::{SignedDuration, Timestamp};
use pki::{SigningKey, VerifyingKey};
use serde_json::Value;

use crate::authentication::{CREDENTIAL_ID, Cached};
use crate::cache::Entry;
use crate::objects::Objects;
use crate::user::User;

pub use claims::{Bound, Claims, Reference};
pub use request::TokenRequests;

/// How far clocks may differ.
const LEEWAY: i64 = 60;
/// How long a token outlives the start of the deletion of what it is bound to.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// How long a good signature is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(5);

/// What every token of a cluster has in common.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// `https://kubernetes.default.svc.cluster.local`
    pub issuer: String,
    /// Who the API server is; tokens that name no audience are for it.
    pub audiences: Vec<String>,
}

/// Issues and checks tokens.
pub struct Tokens {
    options: TokenOptions,
    key: Arc<SigningKey>,
    objects: Objects,
    host: Host,
    verified: Cached<Arc<Claims>>,
}

/// Whom a token belongs to.
#[derive(Debug)]
pub struct Authenticated {
    pub user: User,
    /// The audiences that were asked for and that the token is for.
    pub audiences: Vec<String>,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    #[error("invalid bearer token")]
    Malformed,
    #[error("the token's signature is not of a known key")]
    Signature,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("token audiences {0:?} is invalid for the target audiences {1:?}")]
    Audience(Vec<String>, Vec<String>),
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    Early,
    #[error("service account token has been invalidated")]
    Invalidated,
}

impl Tokens {
    #[must_use]
    pub fn new(options: TokenOptions, key: Arc<SigningKey>, objects: Objects, host: Host) -> Self {
        Self { options, key, objects, host, verified: Cached::new() }
    }

    /// Who the API server is.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.options.audiences
    }

    fn issuer(&self) -> &str {
        &self.options.issuer
    }

    fn key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// Whom `token` belongs to, if it is for one of `audiences`.
    ///
    /// # Errors
    /// When it is malformed, forged, expired, for others, or what it is bound to is gone.
    pub fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Authenticated, TokenError> {
        let now = self.host.now();
        let verify = || {
            let claims = jws::verify(token, self.key(), self.issuer())?;
            Ok((Arc::new(claims), now.saturating_add(REMEMBERED).unwrap_or(now)))
        };
        let claims = self.verified.get(token.as_bytes(), now, verify)?;
        claims.check_time(now)?;
        let common: Vec<String> = audiences.iter().filter(|asked| claims.aud.contains(asked)).cloned().collect();
        if common.is_empty() {
            return Err(TokenError::Audience(claims.aud.clone(), audiences.to_vec()));
        }
        self.check_bindings(&claims, now)?;
        Ok(Authenticated { user: claims.user(), audiences: common })
    }

    /// Everything that the token is bound to must still be there, and be the same.
    fn check_bindings(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        let bound = &claims.bound;
        self.check_alive("serviceaccounts", &bound.namespace, &bound.serviceaccount, now)?;
        if let Some(pod) = &bound.pod {
            return self.check_alive("pods", &bound.namespace, pod, now);
        }
        if let Some(secret) = &bound.secret {
            return self.check_alive("secrets", &bound.namespace, secret, now);
        }
        match &bound.node {
            Some(node) => self.check_alive("nodes", "", node, now),
            None => Ok(()),
        }
    }

    fn check_alive(
        &self,
        resource: &str,
        namespace: &str,
        reference: &Reference,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let entry = self.objects.get("", resource, namespace, &reference.name).ok_or(TokenError::Invalidated)?;
        let deleted = deletion(&entry).is_some_and(|since| now.duration_since(since) > GRACE);
        if entry.uid() != reference.uid || deleted { Err(TokenError::Invalidated) } else { Ok(()) }
    }
}

/// When the deletion of an object began. Few objects are being deleted, so that most are not parsed.
fn deletion(entry: &Entry) -> Option<Timestamp> {
    memchr::memmem::find(entry.bytes(), b"\"deletionTimestamp\"")?;
    object::time::parse(entry.value().pointer("/metadata/deletionTimestamp")?.as_str()?)
}

/// The strings of an array; nothing else.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

impl Claims {
    fn check_time(&self, now: Timestamp) -> Result<(), TokenError> {
        let now = now.as_second();
        if now > self.exp.saturating_add(LEEWAY) {
            return Err(TokenError::Expired);
        }
        if now < self.nbf.saturating_sub(LEEWAY) { Err(TokenError::Early) } else { Ok(()) }
    }

    fn user(&self) -> User {
        let bound = &self.bound;
        let mut user = User::new(format!("system:serviceaccount:{}:{}", bound.namespace, bound.serviceaccount.name))
            .group("system:serviceaccounts")
            .group(format!("system:serviceaccounts:{}", bound.namespace));
        user.uid.clone_from(&bound.serviceaccount.uid);
        let mut add = |key: String, value: String| user.extra.insert(key, vec![value]);
        if !self.jti.is_empty() {
            add(CREDENTIAL_ID.into(), format!("JTI={}", self.jti));
        }
        for (kind, reference) in [("pod", &bound.pod), ("node", &bound.node)] {
            if let Some(reference) = reference {
                add(format!("authentication.kubernetes.io/{kind}-name"), reference.name.clone());
                if !reference.uid.is_empty() {
                    add(format!("authentication.kubernetes.io/{kind}-uid"), reference.uid.clone());
                }
            }
        }
        user
    }
}
