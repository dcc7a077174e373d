//! Who is it, and may they: the authentication and authorization layers.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Exchange, Layer, Next, Response};
use crate::access::{Attributes, Authenticator, Authorizer, Credentials, Decision};
use crate::error::{About, Error, Result};
use crate::request::RequestInfo;
use crate::user::{Peer, User};

/// Finds out who makes the request: the identity of an in-memory connection, or what the authenticator says.
pub struct Authentication {
    pub authenticator: Arc<dyn Authenticator>,
    /// Whether callers that prove nothing are let in as `system:anonymous`.
    pub anonymous: bool,
}

#[async_trait]
impl Layer for Authentication {
    fn name(&self) -> &'static str {
        "authentication"
    }

    async fn call(&self, mut exchange: Exchange, next: Next<'_>) -> Result<Response> {
        exchange.user = match &exchange.peer {
            Peer::Memory(user) => user.clone(),
            peer => {
                let credentials = Credentials { peer, headers: &exchange.parts.headers, uri: &exchange.parts.uri };
                match self.authenticator.authenticate(credentials).await? {
                    Some(user) => Arc::new(user.authenticated()),
                    None if self.anonymous => Arc::new(User::anonymous()),
                    None => return Err(Error::unauthorized()),
                }
            }
        };
        // From here on nobody needs the secret, and a proxied request must not carry it along.
        exchange.parts.headers.remove(http::header::AUTHORIZATION);
        next.run(exchange).await
    }
}

/// Asks whether the caller may do what the request wants.
pub struct Authorization {
    pub authorizer: Arc<dyn Authorizer>,
}

#[async_trait]
impl Layer for Authorization {
    fn name(&self) -> &'static str {
        "authorization"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        match self.authorizer.authorize(&Attributes::of(&exchange.user, &exchange.info)).await {
            Decision::Allow => next.run(exchange).await,
            Decision::Deny(why) | Decision::NoOpinion(why) => Err(refusal(&exchange.user, &exchange.info, &why)),
        }
    }
}

/// Upstream's words for a request that is not allowed.
#[must_use]
pub fn refusal(user: &User, info: &RequestInfo, why: &str) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let Some(target) = &info.target else {
        let text = format!("User {:?} cannot {} path {:?}{why}", user.name, info.verb, info.path);
        return Error::forbidden(About { group: "", resource: "" }, "", text).details(crate::error::Details::default());
    };
    let resource = if target.subresource.is_empty() {
        target.resource.clone()
    } else {
        format!("{}/{}", target.resource, target.subresource)
    };
    let place = match target.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let text = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {place}{why}",
        user.name, info.verb, target.group
    );
    Error::forbidden(About { group: &target.group, resource: &target.resource }, &target.name, text)
}
