//! The protobuf form of built-in objects: what typed clients of Go speak.
//!
//! The bytes are a magic, then `runtime.Unknown`: the type's name, and the object's own message. The facts guide both
//! ways. Reading ([`read`]) makes normalised JSON values. Writing ([`write`]) takes JSON text or
//! values in one pass; what each type's message looks like is worked out once ([`layout`]).

mod layout;
mod read;
mod wire;
mod write;

use thiserror::Error;

pub(crate) use layout::Layout;
pub(super) use read::read;
pub use write::{EncodeError, Source, Writer};

use crate::facts::Type;

/// What every protobuf object begins with.
const MAGIC: &[u8] = b"k8s\0";
/// What stands after the message in an envelope: no content encoding, no content type.
pub const ENVELOPE_END: &[u8] = &[0x1a, 0, 0x22, 0];
/// Where lists have their metadata, and their items.
pub const LIST_METADATA: u16 = 1;
pub const LIST_ITEMS: u16 = 2;

/// Why bytes are no protobuf object.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProtobufError {
    #[error("the bytes do not begin as a protobuf object does")]
    Magic,
    #[error("the message ends in the middle of a field")]
    Truncated,
    #[error("field {0} is encoded in a way that its type does not have")]
    Wire(u64),
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("a raw value is not JSON")]
    Raw,
    #[error("{0}")]
    Quantity(String),
    #[error("exceeded max depth")]
    TooDeep,
}

/// Writes an object of a built-in type, whatever the order of its fields.
///
/// # Errors
/// When the source is no object of the type.
pub fn encode(ty: &Type, api_version: &str, kind: &str, source: Source<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_capacity(source.size_hint());
    writer.begin(api_version, kind);
    let raw = writer.open(2);
    writer.message(ty, source)?;
    writer.close(raw);
    writer.bytes.extend_from_slice(ENVELOPE_END);
    Ok(writer.take())
}

/// What stands before a message of a known length in an envelope; [`ENVELOPE_END`] stands after it.
#[must_use]
pub fn envelope(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut writer = Writer::with_capacity(api_version.len() + kind.len() + 32);
    writer.begin(api_version, kind);
    writer.key(2, wire::BYTES);
    wire::put_varint(&mut writer.bytes, length as u64);
    writer.take()
}

/// A watch event as it goes over the wire: its length in four bytes, then a bare `WatchEvent` around an object in its
/// envelope.
#[must_use]
pub fn watch_frame(event: &str, object: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(event.len() + object.len() + 24);
    writer.bytes.extend_from_slice(&[0; 4]);
    writer.text(1, event);
    let raw = writer.open(2);
    writer.key(1, wire::BYTES);
    wire::put_varint(&mut writer.bytes, object.len() as u64);
    writer.bytes.extend_from_slice(object);
    writer.close(raw);
    let mut frame = writer.take();
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests;
