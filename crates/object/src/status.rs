//! `metav1.Status`: the body of every failed request, with upstream's reasons, codes and messages.

use std::fmt;

use serde::Serialize;

use crate::{
    field::{ErrorList, quote},
    gvk::qualified_resource,
};

/// A Status in the order of upstream's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    kind: &'static str,
    api_version: &'static str,
    pub metadata: ListMeta,
    /// `Success` or `Failure`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status code.
    pub code: u16,
}

/// What a Status has of list metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ListMeta {
    /// The token of an expired list that may be continued inconsistently.
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub token: String,
}

/// What the failure is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource (`pods`), or the kind (`Pod`) for reason Invalid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

/// One cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Cause {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// Why a request failed, as clients compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Reason {
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    StoreReadError,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
}

impl Reason {
    /// The HTTP status code that goes with the reason.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::ServerTimeout | Self::StoreReadError | Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

/// A group and resource that a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    pub group: &'a str,
    /// The plural resource; the kind for [`Status::invalid`].
    pub resource: &'a str,
    pub name: &'a str,
}

impl Target<'_> {
    fn details(self) -> Details {
        Details { name: self.name.into(), group: self.group.into(), kind: self.resource.into(), ..Details::default() }
    }

    fn qualified(self) -> String {
        qualified_resource(self.group, self.resource)
    }
}

impl Status {
    /// A failure with the reason's usual code and no details.
    #[must_use]
    pub fn failure(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind: "Status",
            api_version: "v1",
            metadata: ListMeta::default(),
            status: "Failure",
            message: message.into(),
            reason: Some(reason),
            details: None,
            code: reason.code(),
        }
    }

    /// The answer to a delete that returns no object.
    #[must_use]
    pub fn success(details: Option<Details>) -> Self {
        Self {
            kind: "Status",
            api_version: "v1",
            metadata: ListMeta::default(),
            status: "Success",
            message: String::new(),
            reason: None,
            details,
            code: 200,
        }
    }

    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// `pods "a" not found`.
    #[must_use]
    pub fn not_found(target: Target<'_>) -> Self {
        let message = format!("{} {} not found", target.qualified(), quote(target.name));
        Self::failure(Reason::NotFound, message).with_details(target.details())
    }

    /// `pods "a" already exists`.
    #[must_use]
    pub fn already_exists(target: Target<'_>) -> Self {
        let message = format!("{} {} already exists", target.qualified(), quote(target.name));
        Self::failure(Reason::AlreadyExists, message).with_details(target.details())
    }

    /// `Operation cannot be fulfilled on pods "a": why`.
    #[must_use]
    pub fn conflict(target: Target<'_>, why: impl fmt::Display) -> Self {
        let subject = format!("{} {}", target.qualified(), quote(target.name));
        Self::failure(Reason::Conflict, format!("Operation cannot be fulfilled on {subject}: {why}"))
            .with_details(target.details())
    }

    /// `pods "a" is forbidden: why`; without a name or resource the message is shorter, as upstream's.
    #[must_use]
    pub fn forbidden(target: Target<'_>, why: impl fmt::Display) -> Self {
        let message = match (target.resource.is_empty() && target.group.is_empty(), target.name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{} is forbidden: {why}", target.qualified()),
            (false, false) => format!("{} {} is forbidden: {why}", target.qualified(), quote(target.name)),
        };
        Self::failure(Reason::Forbidden, message).with_details(target.details())
    }

    /// `Deployment.apps "a" is invalid: spec.replicas: Invalid value: …`, a cause for each error. `target.resource` is
    /// the kind.
    #[must_use]
    pub fn invalid(target: Target<'_>, errors: &ErrorList) -> Self {
        let subject = format!("{} {} is invalid", target.qualified(), quote(target.name));
        let message = if errors.is_empty() { subject } else { format!("{subject}: {}", errors.message()) };
        let causes =
            errors.iter().map(|e| Cause { reason: e.kind.reason().into(), message: e.body(), field: e.field.clone() });
        let details = Details { causes: causes.collect(), ..target.details() };
        Self::failure(Reason::Invalid, message).with_details(details)
    }

    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(Reason::BadRequest, message)
    }

    /// `Unauthorized`, or the given words.
    #[must_use]
    pub fn unauthorized(message: &str) -> Self {
        Self::failure(Reason::Unauthorized, if message.is_empty() { "not authorized" } else { message })
    }

    /// `action is not supported on resources of kind "pods"`.
    #[must_use]
    pub fn method_not_supported(target: Target<'_>, action: &str) -> Self {
        let kind = quote(&target.qualified());
        Self::failure(Reason::MethodNotAllowed, format!("{action} is not supported on resources of kind {kind}"))
            .with_details(Details { name: String::new(), ..target.details() })
    }

    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::failure(Reason::Gone, message)
    }

    /// A resource version or continue token that is too old.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(Reason::Expired, message)
    }

    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::failure(Reason::TooManyRequests, message).retry_after(retry_after_seconds)
    }

    /// `Timeout: message`.
    #[must_use]
    pub fn timeout(message: impl fmt::Display, retry_after_seconds: u32) -> Self {
        Self::failure(Reason::Timeout, format!("Timeout: {message}")).retry_after(retry_after_seconds)
    }

    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::failure(Reason::ServiceUnavailable, message)
    }

    /// `Internal error occurred: why`.
    #[must_use]
    pub fn internal(why: impl fmt::Display) -> Self {
        let cause = Cause { message: why.to_string(), ..Cause::default() };
        Self::failure(Reason::InternalError, format!("Internal error occurred: {why}"))
            .with_details(Details { causes: vec![cause], ..Details::default() })
    }

    /// `Request entity too large: message`.
    #[must_use]
    pub fn too_large(message: impl fmt::Display) -> Self {
        Self::failure(Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
    }

    /// The JSON of the Status.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.with_details(Details { retry_after_seconds: seconds, ..Details::default() })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Error, Path};

    #[test]
    fn json_order_is_upstreams() {
        let status = Status::not_found(Target { group: "apps", resource: "deployments", name: "a" });
        assert_eq!(
            String::from_utf8(status.to_json()).expect("text"),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"a\" not found","reason":"NotFound","details":{"name":"a","group":"apps","kind":"deployments"},"code":404}"#
        );
    }

    #[test]
    fn invalid_has_causes() {
        let errors = ErrorList::from(Error::required(&Path::new("spec").child("selector"), ""));
        let status = Status::invalid(Target { group: "apps", resource: "Deployment", name: "a" }, &errors);
        assert_eq!(status.message, "Deployment.apps \"a\" is invalid: spec.selector: Required value");
        let details = status.details.expect("details");
        assert_eq!(details.causes[0].reason, "FieldValueRequired");
        assert_eq!(details.causes[0].message, "Required value");
    }

    #[test]
    fn forbidden_messages() {
        let target = |resource, name| Target { group: "", resource, name };
        assert_eq!(Status::forbidden(target("", ""), "no").message, "forbidden: no");
        assert_eq!(Status::forbidden(target("pods", ""), "no").message, "pods is forbidden: no");
        assert_eq!(Status::forbidden(target("pods", "a"), "no").message, "pods \"a\" is forbidden: no");
    }
}
