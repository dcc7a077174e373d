//! From bodies to objects in their storage version, and back.

use bytes::Bytes;
use http::{HeaderMap, header};
use schema::codec::protobuf::{self, Source};
use schema::{Decoded, Format, Served, Type};
use serde_json::Value;

use crate::error::{Error, Result, Status};
use crate::negotiate::Media;
use crate::parameters::FieldValidation;
use crate::pipeline::Warnings;

const ACCEPTED: [&str; 3] = ["application/json", "application/yaml", PROTOBUF];
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What upstream says of custom objects in protobuf.
const NO_PROTOBUF: &str = "object *unstructured.Unstructured does not implement the protobuf marshalling interface and \
                           cannot be encoded to a protobuf message";

/// How a request's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text(Format),
    Protobuf,
}

impl Form {
    fn decode(self, ty: &Type, body: &[u8]) -> std::result::Result<Decoded, schema::DecodeError> {
        match self {
            Self::Text(format) => schema::decode(ty, body, format),
            Self::Protobuf => schema::decode_protobuf(ty, body),
        }
    }
}

/// The form of a request's body; JSON when it does not say.
pub(crate) fn form_of(headers: &HeaderMap) -> Result<Form> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    match media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "*/*" | "application/json" => Ok(Form::Text(Format::Json)),
        "application/yaml" | "application/x-yaml" | "text/yaml" => Ok(Form::Text(Format::Yaml)),
        PROTOBUF => Ok(Form::Protobuf),
        _ => Err(Error::unsupported_media_type(&ACCEPTED)),
    }
}

/// Reads a body as an object of the served version: typed, normalised, defaulted, but not converted.
pub(crate) fn read(
    served: &Served,
    body: &Bytes,
    form: Form,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Value> {
    let (api_version, kind) = (served.api_version(), &*served.resource.kind);
    if served.resource.custom && form == Form::Protobuf {
        return Err(Error::bad_request(handled(NO_PROTOBUF, &api_version, kind)));
    }
    read_as(served.ty(), &api_version, kind, body, form, validation, warnings)
}

/// The same for bodies of another kind than the resource's.
pub(crate) fn read_as(
    ty: &Type,
    api_version: &str,
    kind: &str,
    body: &Bytes,
    form: Form,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Value> {
    let decoded = form.decode(ty, body).map_err(|error| unreadable(&error, api_version, kind))?;
    check(ty, decoded, api_version, kind, validation, warnings)
}

/// Takes a patched object of the served version on its way to the store.
pub(crate) fn accept(
    served: &Served,
    stored: &Type,
    object: Value,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Value> {
    let (api_version, kind) = (served.api_version(), &*served.resource.kind);
    let decoded = schema::normalise(served.ty(), object).map_err(|error| unreadable(&error, &api_version, kind))?;
    to_storage(served, stored, check(served.ty(), decoded, &api_version, kind, validation, warnings)?)
}

/// Converts an object of the served version to its storage version.
pub(crate) fn to_storage(served: &Served, stored: &Type, object: Value) -> Result<Value> {
    if is_stored(served) {
        return Ok(object);
    }
    let object = schema::to_storage(served, object).map_err(Error::internal)?;
    canonical(stored, object)
}

/// Converts an object in its storage version to the served one.
pub(crate) fn from_storage(served: &Served, object: Value) -> Result<Value> {
    if is_stored(served) {
        return Ok(object);
    }
    let object = schema::from_storage(served, object).map_err(Error::internal)?;
    canonical(served.ty(), object)
}

/// Whether objects are stored as they are served.
pub(crate) fn is_stored(served: &Served) -> bool {
    served.resource.stored_as.is_none() && served.version == served.resource.storage
}

/// Brings the fields of an object into the order in which they are stored and sent.
pub(crate) fn canonical(ty: &Type, object: Value) -> Result<Value> {
    Ok(schema::normalise(ty, object).map_err(|error| Error::internal(chain(&error)))?.value)
}

/// Reads JSON or YAML of no known type.
pub(crate) fn parse(body: &[u8]) -> Result<Value> {
    let format = if body.trim_ascii_start().starts_with(b"{") || body.trim_ascii_start().starts_with(b"[") {
        Format::Json
    } else {
        Format::Yaml
    };
    schema::codec::parse(body, format).map_err(|error| Error::bad_request(chain(&error)))
}

/// Writes a document that names its kind.
pub(crate) fn write(document: &Value, media: Media) -> Result<Bytes> {
    match media {
        Media::Json => Ok(serde_json::to_vec(document).map_err(Error::internal)?.into()),
        Media::Yaml => Ok(schema::encode(document, Format::Yaml).into()),
        Media::Protobuf => {
            let text = |field: &str| document[field].as_str().unwrap_or_default();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
            // The oldest discovery documents have no version.
            let gvk = object::Gvk::new(group, if version.is_empty() { "v1" } else { version }, kind);
            let ty = Type::of_kind(&gvk).ok_or_else(|| Error::internal(format!("{kind} has no protobuf form")))?;
            protobuf(&ty, api_version, kind, Source::Value(document))
        }
    }
}

/// Writes an object of a built-in type in its protobuf form.
pub(crate) fn protobuf(ty: &Type, api_version: &str, kind: &str, source: Source<'_>) -> Result<Bytes> {
    Ok(protobuf::encode(ty, api_version, kind, source).map_err(|error| Error::internal(chain(&error)))?.into())
}

/// Writes the `Status` of a failure; JSON ends with a line as upstream's does.
pub(crate) fn status(status: &Status, media: Media) -> Result<Bytes> {
    let document = serde_json::to_value(status).map_err(Error::internal)?;
    let body = write(&document, media)?;
    Ok(if media == Media::Json { [&*body, b"\n"].concat().into() } else { body })
}

/// The kind must fit, unknown fields are treated as the caller wishes, defaults are filled in.
fn check(
    ty: &Type,
    decoded: Decoded,
    api_version: &str,
    kind: &str,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Value> {
    let mut object = decoded.value;
    identify(&mut object, api_version, kind)?;
    match validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => decoded.issues.iter().for_each(|issue| warnings.add(issue.to_string())),
        FieldValidation::Strict if decoded.issues.is_empty() => {}
        FieldValidation::Strict => {
            let issues: Vec<String> = decoded.issues.iter().map(ToString::to_string).collect();
            let text = format!("strict decoding error: {}", issues.join(", "));
            return Err(Error::bad_request(handled(&text, api_version, kind)));
        }
    }
    schema::default(ty, &mut object);
    Ok(object)
}

/// `kind` and `apiVersion` are what the path says; a body that says something else is at the wrong door.
fn identify(object: &mut Value, api_version: &str, kind: &str) -> Result<()> {
    let said = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (found_kind, found_version) = (said("kind"), said("apiVersion"));
    if !found_version.is_empty() && found_version != api_version {
        let text = format!(
            "the API version in the data ({found_version}) does not match the expected API version ({api_version})"
        );
        return Err(Error::bad_request(text));
    }
    if !found_kind.is_empty() && found_kind != kind {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let text =
            format!("{found_kind} in version {version:?} cannot be handled as a {kind}: converting is not possible");
        return Err(Error::bad_request(text));
    }
    if let Some(fields) = object.as_object_mut() {
        fields.shift_insert(0, "kind".to_owned(), kind.into());
        fields.shift_insert(1, "apiVersion".to_owned(), api_version.into());
    }
    Ok(())
}

fn unreadable(error: &schema::DecodeError, api_version: &str, kind: &str) -> Error {
    Error::bad_request(handled(&chain(error), api_version, kind))
}

fn handled(why: &str, api_version: &str, kind: &str) -> String {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}")
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
