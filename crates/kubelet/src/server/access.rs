//! Who may use the kubelet's server: clients with a certificate of the cluster or a token, as far as the API allows them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Request, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::route::{self, Route};

const TOKEN_TTL: Duration = Duration::from_secs(120);
const ALLOWED_TTL: Duration = Duration::from_secs(300);
const DENIED_TTL: Duration = Duration::from_secs(30);
/// Answers that are remembered.
const MAX_ENTRIES: usize = 1024;

/// A caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// Nobody knows the caller.
    Unknown,
    Denied(String),
    /// The API could not be asked.
    Unanswered(String),
}

/// Asks the API who callers are and what they may do, and remembers the answers for a short time.
pub struct Access {
    client: kube::Client,
    node: String,
    tokens: Memo<[u8; 32], Option<User>>,
    reviews: Memo<(User, &'static str, &'static str), bool>,
}

impl Access {
    #[must_use]
    pub fn new(client: kube::Client, node: String) -> Self {
        Self { client, node, tokens: Memo::default(), reviews: Memo::default() }
    }

    /// Judges a request.
    pub async fn check<B>(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        request: &Request<B>,
        route: &Route,
    ) -> Verdict {
        let user = match self.authenticate(certificate, request).await {
            Ok(Some(user)) => user,
            Ok(None) => return Verdict::Unknown,
            Err(error) => return Verdict::Unanswered(format!("asking the API about a token: {error}")),
        };
        let verb = route::verb(request.method());
        let subresources = route::subresources(route);
        for subresource in subresources {
            match self.allowed(&user, verb, subresource).await {
                Ok(true) => return Verdict::Allowed,
                Ok(false) => {}
                Err(error) => return Verdict::Unanswered(format!("asking the API about a right: {error}")),
            }
        }
        let names: Vec<String> = subresources.iter().map(|name| format!("nodes/{name}")).collect();
        Verdict::Denied(format!(
            "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{}])\n",
            user.name,
            names.join(" ")
        ))
    }

    async fn authenticate<B>(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        request: &Request<B>,
    ) -> Result<Option<User>, kube::Error> {
        if let Some(user) = certificate.and_then(user_of) {
            return Ok(Some(user));
        }
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => self.token(token).await,
            None => Ok(None),
        }
    }

    async fn token(&self, token: &str) -> Result<Option<User>, kube::Error> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(user) = self.tokens.get(&key) {
            return Ok(user);
        }
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: None };
        let review = TokenReview { spec, ..Default::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let status = api.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
        let user = status.user.filter(|_| status.authenticated == Some(true)).map(|user| User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        });
        self.tokens.put(key, user.clone(), TOKEN_TTL);
        Ok(user)
    }

    async fn allowed(&self, user: &User, verb: &'static str, subresource: &'static str) -> Result<bool, kube::Error> {
        let key = (user.clone(), verb, subresource);
        if let Some(allowed) = self.reviews.get(&key) {
            return Ok(allowed);
        }
        let spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(user.groups.clone()),
            extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.to_owned()),
                version: Some("v1".into()),
                resource: Some("nodes".into()),
                subresource: Some(subresource.to_owned()),
                name: Some(self.node.clone()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let review = SubjectAccessReview { spec, ..Default::default() };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let allowed = api.create(&PostParams::default(), &review).await?.status.is_some_and(|status| status.allowed);
        self.reviews.put(key, allowed, if allowed { ALLOWED_TTL } else { DENIED_TTL });
        Ok(allowed)
    }
}

/// The user that a verified certificate names: its common name, with its organizations as groups.
fn user_of(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let organizations = subject.iter_organization().filter_map(|group| group.as_str().ok().map(str::to_owned));
    let groups = organizations.chain(["system:authenticated".to_owned()]).collect();
    Some(User { name, groups, ..Default::default() })
}

/// Answers that hold for a while.
#[derive(Debug)]
struct Memo<K, V>(Mutex<BTreeMap<K, (V, Instant)>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<K: Ord, V: Clone> Memo<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(key).filter(|(_, until)| *until > Instant::now()).map(|(value, _)| value.clone())
    }

    fn put(&self, key: K, value: V, ttl: Duration) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if map.len() >= MAX_ENTRIES {
            map.retain(|_, (_, until)| *until > now);
        }
        if map.len() >= MAX_ENTRIES {
            map.clear();
        }
        map.insert(key, (value, now + ttl));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_forgotten() {
        let memo = Memo::default();
        memo.put("a", 1, Duration::from_secs(10));
        assert_eq!(memo.get(&"a"), Some(1));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(memo.get(&"a"), None);
    }
}
