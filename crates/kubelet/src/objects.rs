//! The ConfigMaps, Secrets and tokens that one pod refers to, kept up to date while the pod lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use informer::{Cache, Informers, Scope};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{Api, PostParams};

use crate::container::references::{Names, References};
use crate::context::Context;
use crate::pod::desired::Desired;
use crate::volume::payload::TokenKey;

/// A token is replaced when this much of its life is over.
const ROTATE_AT: f64 = 0.8;
/// No token is kept longer than this.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Caches of single objects, held as long as the pod.
pub struct Objects {
    informers: Informers,
    namespace: String,
    config_maps: BTreeMap<String, Cache<ConfigMap>>,
    secrets: BTreeMap<String, Cache<Secret>>,
    changes: SelectAll<BoxStream<'static, ()>>,
}

/// A token and when to get the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub token: String,
    pub rotate_at: Timestamp,
}

impl Objects {
    #[must_use]
    pub fn new(informers: Informers, namespace: &str) -> Self {
        let changes = SelectAll::new();
        Self {
            informers,
            namespace: namespace.to_owned(),
            config_maps: BTreeMap::new(),
            secrets: BTreeMap::new(),
            changes,
        }
    }

    /// Starts watching what `names` holds and is not watched yet.
    pub fn watch(&mut self, names: Names) {
        for name in names.config_maps {
            if !self.config_maps.contains_key(&name) {
                let cache = self.informers.scoped::<ConfigMap>(self.scope(&name));
                self.changes.push(cache.subscribe().map(drop).boxed());
                self.config_maps.insert(name, cache);
            }
        }
        for name in names.secrets {
            if !self.secrets.contains_key(&name) {
                let cache = self.informers.scoped::<Secret>(self.scope(&name));
                self.changes.push(cache.subscribe().map(drop).boxed());
                self.secrets.insert(name, cache);
            }
        }
    }

    /// The caches as they stand, for an operation to wait on.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            namespace: self.namespace.clone(),
            config_maps: self.config_maps.clone(),
            secrets: self.secrets.clone(),
        }
    }

    /// Waits for a change of anything that is watched.
    pub async fn changed(&mut self) {
        if self.changes.next().await.is_none() {
            std::future::pending().await
        }
    }

    fn scope(&self, name: &str) -> Scope {
        Scope::namespace(self.namespace.clone()).fields(format!("metadata.name={name}"))
    }
}

/// What a pod refers to at one moment.
#[derive(Clone)]
pub struct Snapshot {
    namespace: String,
    config_maps: BTreeMap<String, Cache<ConfigMap>>,
    secrets: BTreeMap<String, Cache<Secret>>,
}

impl Snapshot {
    /// The objects, once all caches have been filled.
    pub async fn references(&self, context: &Context) -> References {
        let mut references = References::default();
        for (name, cache) in &self.config_maps {
            cache.synced().await;
            let found = cache.get(Some(&self.namespace), name);
            references.config_maps.extend(found.map(|found| (name.clone(), found)));
        }
        for (name, cache) in &self.secrets {
            cache.synced().await;
            let found = cache.get(Some(&self.namespace), name);
            references.secrets.extend(found.map(|found| (name.clone(), found)));
        }
        context.services.synced().await;
        references.services = context.services.list_in(&self.namespace);
        references.api = context.services.get(Some("default"), "kubernetes");
        references
    }
}

/// Asks for a token of the pod's service account, bound to the pod.
pub async fn token(context: &Context, desired: &Desired, key: &TokenKey) -> Result<Token, kube::Error> {
    let account = account(desired);
    let api: Api<ServiceAccount> = Api::namespaced(context.client.clone(), desired.namespace());
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some((!key.audience.is_empty()).then(|| key.audience.clone()).into_iter().collect()),
            expiration_seconds: Some(key.seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: desired.pod.metadata.name.clone(),
                uid: desired.pod.metadata.uid.clone(),
            }),
        }),
        ..Default::default()
    };
    let asked_at = context.host.now();
    let answer = api.create_token_request(account, &PostParams::default(), &request).await?;
    let status = answer.status.unwrap_or_default();
    let expires_at = status.expiration_timestamp.map(|time| time.0);
    let life = expires_at.map_or_else(|| SignedDuration::from_secs(key.seconds), |at| at.duration_since(asked_at));
    Ok(Token { token: status.token.unwrap_or_default(), rotate_at: rotation(asked_at, life) })
}

/// The service account that the pod runs as.
#[must_use]
pub fn account(desired: &Desired) -> &str {
    desired.spec().service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
}

/// When a token of `life` that was asked for at `asked_at` is replaced.
fn rotation(asked_at: Timestamp, life: SignedDuration) -> Timestamp {
    let seconds = life.as_secs_f64().max(0.0) * ROTATE_AT;
    let wait = SignedDuration::try_from_secs_f64(seconds).unwrap_or(MAX_AGE).min(MAX_AGE);
    asked_at.saturating_add(wait).unwrap_or(asked_at)
}

/// Tokens by what they are for.
pub type Tokens = BTreeMap<TokenKey, Token>;

/// Tokens that are due for replacement or not there yet, of `wanted`.
#[must_use]
pub fn due(tokens: &Tokens, wanted: impl Iterator<Item = TokenKey>, now: Timestamp) -> Vec<TokenKey> {
    let mut due: Vec<_> = wanted.filter(|key| tokens.get(key).is_none_or(|token| token.rotate_at <= now)).collect();
    due.sort_unstable();
    due.dedup();
    due
}

/// The values alone.
#[must_use]
pub fn values(tokens: &Tokens) -> BTreeMap<TokenKey, String> {
    tokens.iter().map(|(key, token)| (key.clone(), token.token.clone())).collect()
}

/// Shared by operations of one pod.
pub type SharedTokens = Arc<Tokens>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_rotate_at_four_fifths_or_daily() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(rotation(at(0), SignedDuration::from_secs(3600)), at(2880));
        assert_eq!(rotation(at(0), SignedDuration::from_hours(8760)), at(86400));
        let key = TokenKey { audience: "a".into(), seconds: 600 };
        let mut tokens = Tokens::new();
        assert_eq!(due(&tokens, [key.clone(), key.clone()].into_iter(), at(0)), std::slice::from_ref(&key));
        tokens.insert(key.clone(), Token { token: "t".into(), rotate_at: at(480) });
        assert!(due(&tokens, [key.clone()].into_iter(), at(479)).is_empty());
        assert_eq!(due(&tokens, [key.clone()].into_iter(), at(480)), [key]);
    }
}
