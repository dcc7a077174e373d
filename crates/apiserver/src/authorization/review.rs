//! Reviews of access: may somebody do something, and what may the caller do at all.

mod check;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use check::{About, check};

use super::Rbac;
use crate::access::{Attributes, Authorizer, Decision};
use crate::authentication::set_status;
use crate::endpoints::{Call, Computed};
use crate::error::{Error, Result};
use crate::token::strings;
use crate::user::{MASTERS, User};

/// `subjectaccessreviews`: may the named user or groups do this.
pub struct SubjectAccessReviews(pub Arc<dyn Authorizer>);
/// `localsubjectaccessreviews`: the same, in the namespace of the request.
pub struct LocalSubjectAccessReviews(pub Arc<dyn Authorizer>);
/// `selfsubjectaccessreviews`: may the caller do this.
pub struct SelfSubjectAccessReviews(pub Arc<dyn Authorizer>);
/// `selfsubjectrulesreviews`: what may the caller do in a namespace.
pub struct RulesReviews(pub Rbac);

#[async_trait]
impl Computed for SubjectAccessReviews {
    async fn create(&self, _: Call<'_>, object: Value) -> Result<Value> {
        refuse(&object, About::Named)?;
        review(&*self.0, &named_user(&object), object).await
    }
}

#[async_trait]
impl Computed for LocalSubjectAccessReviews {
    async fn create(&self, call: Call<'_>, object: Value) -> Result<Value> {
        refuse(&object, About::NamedIn(&call.target.namespace))?;
        review(&*self.0, &named_user(&object), object).await
    }
}

#[async_trait]
impl Computed for SelfSubjectAccessReviews {
    async fn create(&self, call: Call<'_>, object: Value) -> Result<Value> {
        refuse(&object, About::Caller)?;
        review(&*self.0, call.user, object).await
    }
}

#[async_trait]
impl Computed for RulesReviews {
    async fn create(&self, call: Call<'_>, mut object: Value) -> Result<Value> {
        let namespace = object.pointer("/spec/namespace").and_then(Value::as_str).unwrap_or_default();
        if namespace.is_empty() {
            return Err(Error::bad_request("no namespace on request"));
        }
        let mut rules = self.0.rules(call.user, namespace);
        if call.user.is_in(MASTERS) {
            let all = || vec!["*".to_owned()];
            rules.push(super::Rule { verbs: all(), api_groups: all(), resources: all(), ..Default::default() });
            rules.push(super::Rule { verbs: all(), non_resource_urls: all(), ..Default::default() });
        }
        let (paths, resources): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| !rule.non_resource_urls.is_empty());
        set_status(&mut object, json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false }));
        Ok(object)
    }
}

async fn review(authorizer: &dyn Authorizer, user: &User, mut object: Value) -> Result<Value> {
    let decision = authorizer.authorize(&attributes(user, &object)).await;
    let mut status = json!({ "allowed": decision == Decision::Allow });
    match decision {
        Decision::Deny(why) => {
            status["denied"] = true.into();
            set_reason(&mut status, why);
        }
        Decision::NoOpinion(why) => set_reason(&mut status, why),
        Decision::Allow => {}
    }
    set_status(&mut object, status);
    Ok(object)
}

fn set_reason(status: &mut Value, why: String) {
    if !why.is_empty() {
        status["reason"] = why.into();
    }
}

/// What the review asks about.
fn attributes<'a>(user: &'a User, object: &'a Value) -> Attributes<'a> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if object.pointer("/spec/resourceAttributes").is_none_or(Value::is_null) {
        let (verb, path) = (text("/spec/nonResourceAttributes/verb"), text("/spec/nonResourceAttributes/path"));
        return Attributes::of_path(user, verb, path);
    }
    let version = text("/spec/resourceAttributes/version");
    Attributes {
        group: text("/spec/resourceAttributes/group"),
        version: if version.is_empty() { "*" } else { version },
        resource: text("/spec/resourceAttributes/resource"),
        subresource: text("/spec/resourceAttributes/subresource"),
        namespace: text("/spec/resourceAttributes/namespace"),
        name: text("/spec/resourceAttributes/name"),
        path: None,
        ..Attributes::of_path(user, text("/spec/resourceAttributes/verb"), "")
    }
}

fn named_user(object: &Value) -> User {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let extra = object.pointer("/spec/extra").and_then(Value::as_object).into_iter().flatten();
    User {
        name: text("/spec/user").to_owned(),
        uid: text("/spec/uid").to_owned(),
        groups: strings(object.pointer("/spec/groups")),
        extra: extra.map(|(key, values)| (key.to_lowercase(), strings(Some(values)))).collect(),
    }
}

/// Refuses a review that makes no sense. Upstream leaves the kind out here.
fn refuse(object: &Value, about: About<'_>) -> Result<()> {
    let errors = check(object, about);
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid("authorization.k8s.io", "", "", &errors)) }
}
