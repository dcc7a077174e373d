//! `serviceaccounts/token`: issuing tokens.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use object::field::{self, ErrorList, Path};
use serde_json::Value;

use super::{Bound, Claims, Reference, Tokens, jws, strings};
use crate::authentication::set_status;
use crate::cache::Entry;
use crate::endpoints::{Call, Computed};
use crate::error::{About, Error, Result};

/// Seconds that a token is good when the request does not say.
const DEFAULT: i64 = 3600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

const SERVICE_ACCOUNTS: About<'_> = About { group: "", resource: "serviceaccounts" };

/// Issues tokens for service accounts.
pub struct TokenRequests(pub Arc<Tokens>);

#[async_trait]
impl Computed for TokenRequests {
    async fn create(&self, call: Call<'_>, mut object: Value) -> Result<Value> {
        let tokens = &*self.0;
        let (namespace, name) = (&*call.target.namespace, &*call.target.name);
        let account = tokens.objects.get("", "serviceaccounts", namespace, name);
        let account = account.ok_or_else(|| Error::not_found(SERVICE_ACCOUNTS, name))?;
        meant(&object, &account)?;
        let seconds = seconds(&object)?;
        let mut audiences = strings(object.pointer("/spec/audiences"));
        if audiences.is_empty() {
            audiences = tokens.audiences().to_vec();
        }
        let mut bound = tokens.bind(namespace, name, object.pointer("/spec/boundObjectRef"))?;
        bound.serviceaccount = reference(&account);
        let now = tokens.host.now();
        let claims = tokens.claims(bound, audiences.clone(), now, seconds);
        let token = jws::sign(&claims, &tokens.key).map_err(Error::internal)?;
        complete(&mut object, &claims, &token, now, audiences);
        Ok(object)
    }
}

impl Tokens {
    fn claims(&self, bound: Bound, aud: Vec<String>, now: Timestamp, seconds: i64) -> Claims {
        let issued = now.as_second();
        Claims {
            aud,
            exp: issued.saturating_add(seconds),
            iat: issued,
            iss: self.issuer().to_owned(),
            jti: self.host.entropy.uuid(),
            sub: format!("system:serviceaccount:{}:{}", bound.namespace, bound.serviceaccount.name),
            bound,
            nbf: issued,
        }
    }

    /// What the request wants the token bound to. The account itself is left to the caller.
    fn bind(&self, namespace: &str, account: &str, wanted: Option<&Value>) -> Result<Bound> {
        let mut bound = Bound { namespace: namespace.to_owned(), ..Bound::default() };
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_null()) else { return Ok(bound) };
        let field = |name: &str| wanted.get(name).and_then(Value::as_str).unwrap_or_default();
        let (version, kind, name, uid) = (field("apiVersion"), field("kind"), field("name"), field("uid"));
        match (version, kind) {
            ("v1", "Pod") => {
                let pod = self.named("pods", "Pod", namespace, name, uid)?;
                let spec = pod.value();
                let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                if text("/spec/serviceAccountName") != account {
                    let why = "to pod running with different serviceaccount name.";
                    return Err(Error::bad_request(format!("cannot bind token for serviceaccount {account:?} {why}")));
                }
                bound.node = self.node_of(text("/spec/nodeName"));
                bound.pod = Some(reference(&pod));
            }
            ("v1", "Secret") => {
                let secret = self.named("secrets", "Secret", namespace, name, uid)?;
                bound.secret = Some(reference(&secret));
            }
            ("v1", "Node") => {
                let node = self.named("nodes", "Node", "", name, uid)?;
                bound.node = Some(reference(&node));
            }
            _ => {
                let (group, version) = version.split_once('/').unwrap_or(("", version));
                let message = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
                return Err(Error::bad_request(message));
            }
        }
        Ok(bound)
    }

    fn node_of(&self, name: &str) -> Option<Reference> {
        if name.is_empty() {
            return None;
        }
        let node = self.objects.get("", "nodes", "", name);
        Some(node.map_or_else(|| Reference { name: name.to_owned(), uid: String::new() }, |node| reference(&node)))
    }

    fn named(&self, resource: &str, kind: &str, namespace: &str, name: &str, uid: &str) -> Result<Arc<Entry>> {
        let about = About { group: "", resource };
        let entry = self.objects.get("", resource, namespace, name).ok_or_else(|| Error::not_found(about, name))?;
        if !uid.is_empty() && uid != entry.uid() {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. \
                 The object might have been deleted and then recreated"
            );
            return Err(Error::conflict(About { resource: kind, ..about }, name, why));
        }
        Ok(entry)
    }
}

fn reference(entry: &Entry) -> Reference {
    Reference { name: entry.name().to_owned(), uid: entry.uid().to_owned() }
}

/// Whether the request is for this account, as far as it says which one it is for.
fn meant(object: &Value, account: &Entry) -> Result<()> {
    let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    for (name, own) in [("name", account.name()), ("namespace", account.namespace())] {
        if !field(name).is_empty() && field(name) != own {
            let detail = format!("must match the service account {name} if specified");
            let error = field::Error::invalid(&Path::new("metadata").child(name), field(name), detail);
            return Err(Error::invalid(GROUP, "TokenRequest", account.name(), &error.into()));
        }
    }
    let (uid, own) = (field("uid"), account.uid());
    if !uid.is_empty() && uid != own {
        let why = format!("the UID in the token request ({uid}) does not match the UID of the service account ({own})");
        return Err(Error::conflict(About { group: GROUP, resource: "TokenRequest" }, account.name(), why));
    }
    Ok(())
}

const GROUP: &str = "authentication.k8s.io";

fn seconds(object: &Value) -> Result<i64> {
    let seconds = object.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT);
    let why = match seconds {
        ..SHORTEST => "may not specify a duration less than 10 minutes",
        SHORTEST..=LONGEST => return Ok(seconds),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let mut errors = ErrorList::new();
    errors.push(field::Error::invalid(&Path::new("spec").child("expirationSeconds"), seconds, why));
    Err(Error::invalid(GROUP, "TokenRequest", "", &errors))
}

/// Fills in what the server decides.
fn complete(object: &mut Value, claims: &Claims, token: &str, now: Timestamp, audiences: Vec<String>) {
    let expiry = SignedDuration::from_secs(claims.exp.saturating_sub(claims.iat));
    let expiry = now.saturating_add(expiry).unwrap_or(Timestamp::MAX);
    let bound = &claims.bound;
    object["metadata"]["name"] = bound.serviceaccount.name.as_str().into();
    object["metadata"]["namespace"] = bound.namespace.as_str().into();
    object["metadata"]["creationTimestamp"] = object::time::seconds(now).into();
    object["spec"]["audiences"] = audiences.into();
    object["spec"]["expirationSeconds"] = claims.exp.saturating_sub(claims.iat).into();
    let status = serde_json::json!({ "token": token, "expirationTimestamp": object::time::seconds(expiry) });
    set_status(object, status);
}
