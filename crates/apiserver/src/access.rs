//! The seams for authentication and authorization.

use async_trait::async_trait;
use http::{HeaderMap, Uri};

use crate::error::Result;
use crate::request::RequestInfo;
use crate::user::{Peer, User};

/// What a request shows to prove who makes it.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// Never [`Peer::Memory`]: such a connection carries its identity, and no authenticator is asked.
    pub peer: &'a Peer,
    pub headers: &'a HeaderMap,
    pub uri: &'a Uri,
}

/// Finds out who makes a request.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// `None` when the credentials are of a kind it does not know; the next authenticator is asked then, and at the
    /// end the caller is anonymous.
    ///
    /// # Errors
    /// When the credentials are of a kind it knows and are wrong: the answer is 401.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<User>>;
}

/// What a caller wants to do, in the terms that authorizers judge. Empty strings where upstream has them.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    pub user: &'a User,
    /// `get`, `list`, … or the lower-case method for paths; any word for reviews and for `bind`, `escalate`, `use`.
    pub verb: &'a str,
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub field_selector: &'a str,
    pub label_selector: &'a str,
    /// Set when the request names no resource.
    pub path: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// The attributes of a request.
    #[must_use]
    pub fn of(user: &'a User, info: &'a RequestInfo) -> Self {
        let verb = info.verb.as_str();
        let Some(target) = &info.target else { return Self::of_path(user, verb, &info.path) };
        Self {
            verb,
            group: &target.group,
            version: &target.version,
            resource: &target.resource,
            subresource: &target.subresource,
            namespace: &target.namespace,
            name: &target.name,
            field_selector: &target.field_selector,
            label_selector: &target.label_selector,
            ..Self::of_path(user, verb, "")
        }
        .without_path()
    }

    /// The attributes of a request for a path that names no resource.
    #[must_use]
    pub fn of_path(user: &'a User, verb: &'a str, path: &'a str) -> Self {
        Self {
            user,
            verb,
            group: "",
            version: "",
            resource: "",
            subresource: "",
            namespace: "",
            name: "",
            field_selector: "",
            label_selector: "",
            path: Some(path),
        }
    }

    fn without_path(self) -> Self {
        Self { path: None, ..self }
    }

    /// `pods/log`: the resource as roles name it.
    #[must_use]
    pub fn qualified_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// What an authorizer thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// Refused whatever others think; the text, which may be empty, is shown.
    Deny(String),
    /// Neither; the text, which may be empty, is shown when nobody allows.
    NoOpinion(String),
}

/// Judges whether a caller may do something.
#[async_trait]
pub trait Authorizer: Send + Sync {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision;
}
