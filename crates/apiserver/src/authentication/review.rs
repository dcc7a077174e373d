//! Reviews of identities: `tokenreviews` and `selfsubjectreviews`.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::endpoints::{Call, Computed};
use crate::error::{Error, Result};
use crate::token::{Tokens, strings};
use crate::user::User;

/// Says whom a token belongs to.
pub struct TokenReviews(pub Arc<Tokens>);

#[async_trait]
impl Computed for TokenReviews {
    async fn create(&self, _: Call<'_>, mut object: Value) -> Result<Value> {
        let token = object.pointer("/spec/token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() {
            return Err(Error::bad_request("token is required for TokenReview in authentication"));
        }
        let asked = strings(object.pointer("/spec/audiences"));
        let audiences = if asked.is_empty() { self.0.audiences() } else { &asked };
        let status = match self.0.authenticate(token, audiences) {
            Ok(found) => json!({
                "authenticated": true,
                "user": user_info(&found.user.authenticated()),
                "audiences": found.audiences,
            }),
            Err(error) => json!({ "user": {}, "error": error.to_string() }),
        };
        set_status(&mut object, status);
        Ok(object)
    }
}

/// Says who the caller is.
pub struct SelfSubjectReviews;

#[async_trait]
impl Computed for SelfSubjectReviews {
    async fn create(&self, call: Call<'_>, mut object: Value) -> Result<Value> {
        set_status(&mut object, json!({ "userInfo": user_info(call.user) }));
        Ok(object)
    }
}

/// A user as `authentication.k8s.io/v1` writes it; what is empty is left out.
pub(crate) fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".into(), user.name.as_str().into());
    if !user.uid.is_empty() {
        info.insert("uid".into(), user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        info.insert("groups".into(), user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        let extra = user.extra.iter().map(|(key, values)| (key.clone(), Value::from(values.clone()))).collect();
        info.insert("extra".into(), Value::Object(extra));
    }
    Value::Object(info)
}

/// Puts the status where clients expect it: last.
pub(crate) fn set_status(object: &mut Value, status: Value) {
    if let Value::Object(fields) = object {
        fields.shift_remove("status");
        fields.insert("status".into(), status);
    }
}
