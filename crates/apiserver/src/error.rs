//! Every failure of the API is a `metav1.Status` with upstream's reason, code, message, details and causes.

use std::borrow::Cow;

use http::StatusCode;
use object::field::ErrorList;
use serde::{Deserialize, Serialize};

/// The result of everything that serves a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Mistakes that one refusal names: a small body may make many, and each is said twice with its rule.
const MISTAKES: usize = 64;

/// A failure as clients see it; cheap to move (one pointer).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Error(Box<Status>);

/// The body of a failure, fields in upstream's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub kind: Cow<'static, str>,
    #[serde(rename = "apiVersion")]
    pub api_version: Cow<'static, str>,
    #[serde(default)]
    pub metadata: ListMeta,
    pub status: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// Zero (left out) on success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub code: u16,
}

/// The list metadata of a `Status`: only `continue` is ever set, on 410 for an expired token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListMeta {
    #[serde(default, rename = "continue", skip_serializing_if = "String::is_empty")]
    pub continue_token: String,
}

/// What a failure is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource, or the kind where the failure is about an object's content.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(default, rename = "retryAfterSeconds", skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One reason among several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// The group and resource that a failure is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub group: &'a str,
    pub resource: &'a str,
}

impl About<'_> {
    fn qualified(self) -> String {
        object::qualified_resource(self.group, self.resource)
    }
}

impl Error {
    #[must_use]
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Status {
            kind: "Status".into(),
            api_version: "v1".into(),
            metadata: ListMeta::default(),
            status: "Failure".into(),
            message: message.into(),
            reason: reason.into(),
            details: None,
            code: code.as_u16(),
        }))
    }

    /// A failure that another server or a webhook has answered with.
    #[must_use]
    pub fn from_status(status: Status) -> Self {
        Self(Box::new(status))
    }

    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// `why` follows upstream's words: `User "jane" cannot list resource "pods" in API group "" in the namespace "default"`.
    #[must_use]
    pub fn forbidden(about: About<'_>, name: &str, why: impl std::fmt::Display) -> Self {
        let message = match (about.resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{} is forbidden: {why}", about.qualified()),
            _ => format!("{} {name:?} is forbidden: {why}", about.qualified()),
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(about, name)
    }

    #[must_use]
    pub fn not_found(about: About<'_>, name: &str) -> Self {
        let message = format!("{} {name:?} not found", about.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(about, name)
    }

    /// A path that nothing serves.
    #[must_use]
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).details(Details::default())
    }

    #[must_use]
    pub fn already_exists(about: About<'_>, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", about.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(about, name)
    }

    #[must_use]
    pub fn conflict(about: About<'_>, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", about.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(about, name)
    }

    /// The conflict of an update that was based on an older state.
    #[must_use]
    pub fn modified(about: About<'_>, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(about, name, why)
    }

    /// An object that is wrong in itself; `kind` is its kind, not the resource.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &ErrorList) -> Self {
        let qualified = object::qualified_resource(group, kind);
        let mut told = errors.clone();
        told.0.truncate(MISTAKES);
        let mut message = format!("{qualified} {name:?} is invalid: {}", told.message());
        if let Some(more) = errors.0.len().checked_sub(MISTAKES).filter(|more| *more > 0) {
            message += &format!(", and {more} more");
        }
        let causes = told.iter().map(cause).collect();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).details(Details {
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
            causes,
            ..Details::default()
        })
    }

    /// The revision asked for is no longer kept.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    #[must_use]
    pub fn method_not_supported(about: About<'_>, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", about.qualified());
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(about, "")
    }

    /// The words that upstream's router uses when a path exists but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).details(Details::default())
    }

    #[must_use]
    pub fn not_acceptable(accepted: impl IntoIterator<Item: ToString>) -> Self {
        let list: Vec<String> = accepted.into_iter().map(|media| media.to_string()).collect();
        Self::unacceptable(format!("only the following media types are accepted: {}", list.join(", ")))
    }

    /// The answer cannot be turned into what is wanted.
    #[must_use]
    pub fn unacceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let list = accepted.join(", ");
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {list}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity is too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// The server gave up waiting; the request may have had its effect.
    #[must_use]
    pub fn timeout(message: impl std::fmt::Display, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", format!("Timeout: {message}"))
            .details(Details { retry_after_seconds: Some(retry_after_seconds), ..Details::default() })
    }

    /// A client that does not send what it announced.
    #[must_use]
    pub fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout", "Timeout: the body of the request did not arrive in time")
    }

    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
            .details(Details { retry_after_seconds: Some(retry_after_seconds), ..Details::default() })
    }

    #[must_use]
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// Something of ours failed; `cause` is logged by the pipeline and shown as upstream shows it.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {cause}");
        let cause = Cause { message: cause.to_string(), ..Cause::default() };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
            .details(Details { causes: vec![cause], ..Details::default() })
    }

    /// Names the resource and object that the failure is about.
    #[must_use]
    pub fn about(mut self, about: About<'_>, name: &str) -> Self {
        let details = self.0.details.get_or_insert_default();
        details.group = about.group.into();
        details.kind = about.resource.into();
        details.name = name.into();
        self
    }

    #[must_use]
    pub fn details(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Adds one cause.
    #[must_use]
    pub fn cause(mut self, reason: impl Into<Cow<'static, str>>, message: impl Into<String>, field: &str) -> Self {
        let cause = Cause { reason: reason.into(), message: message.into(), field: field.into() };
        self.0.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// The token with which a list may go on although its own revision is gone.
    #[must_use]
    pub fn continue_token(mut self, token: String) -> Self {
        self.0.metadata.continue_token = token;
        self
    }

    #[must_use]
    pub fn status(&self) -> &Status {
        &self.0
    }

    #[must_use]
    pub fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The body as JSON, with upstream's final newline.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec(&self.0).expect("a status is always JSON");
        body.push(b'\n');
        body
    }
}

impl From<store::Error> for Error {
    /// The failures of a store that no precondition explains.
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        match &error {
            E::Compacted { .. } => Self::expired("The resourceVersion for the provided list is too old."),
            E::Future { requested, current } => Self::timeout(
                format!("Too large resource version: {requested}, current: {current}"),
                1,
            )
            .cause("ResourceVersionTooLarge", "Too large resource version", ""),
            E::TooLarge { size, limit, .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                format!("Request entity is too large: the object takes {size} bytes, the limit is {limit}"),
            ),
            E::Full { .. } => Self::new(StatusCode::INSUFFICIENT_STORAGE, "InternalError", chain(&error)),
            E::Unavailable { .. } | E::Closed => Self::service_unavailable(chain(&error)),
            _ => Self::internal(chain(&error)),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The answer to a delete that removed the object at once and whose strategy returns no object.
#[must_use]
pub fn deleted(about: About<'_>, name: &str, uid: &str) -> Status {
    Status {
        kind: "Status".into(),
        api_version: "v1".into(),
        metadata: ListMeta::default(),
        status: "Success".into(),
        message: String::new(),
        reason: "".into(),
        details: Some(Details {
            name: name.into(),
            group: about.group.into(),
            kind: about.resource.into(),
            uid: uid.into(),
            ..Details::default()
        }),
        code: 0,
    }
}

fn is_zero(code: &u16) -> bool {
    *code == 0
}

fn cause(error: &object::field::Error) -> Cause {
    Cause { reason: error.kind.reason().into(), message: error.body(), field: error.field.clone() }
}
