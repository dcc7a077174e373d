//! The resource table and the field facts, and everything derived from them.
//!
//! | what | where |
//! |---|---|
//! | which resources exist | [`Table`] → [`Snapshot`] → [`Served`] (a [`Resource`] row in one version) |
//! | what fields a type has | [`Type`], [`Node`] (a cursor for patches and server-side apply), [`facts`] |
//! | bytes ⇄ objects | [`decode`], [`normalise`], [`encode`], [`codec::protobuf`] |
//! | defaults | [`default`] |
//! | versions | [`convert`](fn@convert), [`to_storage`], [`from_storage`] |
//! | `kubectl get` | [`columns`] |
//! | discovery | [`discovery`] |
//! | OpenAPI v3 | [`openapi`] |
//! | values in messages | [`internal()`] |
//!
//! An object is a `serde_json::Value` (maps keep their order). A *normalised* object is what the server prints: known
//! fields in canonical order, empty ones left out as Go leaves them out, quantities and times in canonical form.

pub mod codec;
pub mod columns;
pub mod convert;
mod defaults;
pub mod discovery;
pub mod facts;
mod internal;
pub mod openapi;
mod overlay;
pub mod resource;
mod resources;
mod table;

pub use codec::{DecodeError, Decoded, Format, Issue, decode, decode_protobuf, encode, normalise};
pub use convert::{Conversion, ConvertError, convert, from_storage, to_storage};
pub use defaults::default;
pub use facts::{Facts, ListType, Node, Shape, Type, TypeFacts};
pub use internal::internal;
pub use resource::{Resource, Scope, Served, Subresource, SubresourceKind, Verb, Verbs, Version};
pub use table::{Group, RegisterError, Snapshot, Table, version_rank};
