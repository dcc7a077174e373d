//! Patching objects.

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use super::current::{Change, Current, Edit};
use super::edit::Replacement;
use super::metadata::text;
use super::{Admitting, Registry, Scope, Written};
use crate::admit::Operation;
use crate::codec;
use crate::error::{Details, Error, Result};
use crate::parameters::WriteOptions;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY: [&str; 2] = ["application/apply-patch+yaml", "application/apply-patch+cbor"];

/// A patch, read but not applied.
pub(crate) enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Reads the body of a PATCH by its content type. `custom` resources know no strategic patches.
    pub(crate) fn parse(media: Option<&HeaderValue>, body: &Bytes, custom: bool) -> Result<Self> {
        let media = media.and_then(|media| media.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if APPLY.contains(&media.as_str()) {
            let text = "server-side apply is not supported by this server yet: use a merge patch, or \
                        `kubectl apply --server-side=false`";
            return Err(Error::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", text));
        }
        let make = match media.as_str() {
            JSON_PATCH => Self::Json,
            MERGE_PATCH => Self::Merge,
            STRATEGIC_PATCH if !custom => Self::Strategic,
            _ if custom => return Err(unsupported(&[JSON_PATCH, MERGE_PATCH])),
            _ => return Err(unsupported(&[JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH])),
        };
        let value = codec::parse(body)?;
        Ok(make(value))
    }

    /// Applies the patch to an object whose shape is `node`.
    pub(crate) fn apply_to(&self, object: &mut Value, node: schema::Node<'_>) -> Result<()> {
        let applied = match self {
            Self::Json(patch) => patch::json::apply(object, patch),
            Self::Merge(patch) => {
                patch::merge::apply(object, patch);
                Ok(())
            }
            Self::Strategic(patch) => patch::strategic::apply(object, patch, node),
        };
        applied.map_err(|error| refused(&error))
    }
}

fn unsupported(accepted: &[&str]) -> Error {
    Error::unsupported_media_type(accepted)
}

fn refused(error: &patch::Error) -> Error {
    match error {
        patch::Error::Malformed(_) => Error::bad_request(error.to_string()),
        patch::Error::TooLarge(_) => {
            Error::new(http::StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", error.to_string())
        }
        // About no object: clients then show the message.
        _ => Error::new(
            http::StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {error}"),
        )
        .details(Details::default()),
    }
}

/// Applies a patch to whatever the object is.
struct Patching<'a> {
    registry: &'a Registry,
    how: Replacement<'a>,
    patch: &'a Patch,
    options: &'a WriteOptions,
}

#[async_trait]
impl Edit for Patching<'_> {
    async fn edit(&mut self, current: &Current) -> Result<Change> {
        let scope = self.how.scope;
        let mut object = codec::from_storage(&scope.served, current.object.clone())?;
        self.patch.apply_to(&mut object, scope.served.ty().node())?;
        let object =
            codec::accept(&scope.served, &scope.stored, object, self.options.field_validation, scope.warnings)?;
        for (field, wanted) in [("name", scope.target.name.as_str()), ("namespace", scope.namespace())] {
            let found = text(&object, field);
            if found != wanted {
                let text =
                    format!("the {field} of the object ({found}) does not match the {field} on the URL ({wanted})");
                return Err(Error::bad_request(text));
            }
        }
        self.registry.finish(&self.how, current, object).await
    }
}

impl Registry {
    pub(crate) async fn patch(&self, scope: &Scope<'_>, patch: &Patch, options: &WriteOptions) -> Result<Written> {
        let admitting = Admitting::new(scope, Operation::Update, options.to_value("PatchOptions"), options.dry_run);
        let manager = super::update::manager(scope, options);
        let how = Replacement {
            scope,
            admitting: &admitting,
            manager: &manager,
            status_only: scope.target.subresource == "status",
        };
        let mut patching = Patching { registry: self, how, patch, options };
        let written = self.change(scope, &scope.key(), &mut patching, options.dry_run).await?;
        written.ok_or_else(|| scope.not_found())
    }
}
