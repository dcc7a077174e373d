//! How objects are shown: a version and a form. Bytes of the cache are used as they are wherever that is possible.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use host::Clock;
use schema::codec::protobuf::{self, LIST_ITEMS, LIST_METADATA, Source, Writer};
use schema::columns::{self, IncludeObject};
use schema::{Served, Type};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cache::{Entry, Shown};
use crate::codec;
use crate::error::{Error, Result};
use crate::negotiate::Media;

const META_VERSION: &str = "meta.k8s.io/v1";
const PARTIAL: &str = "PartialObjectMetadata";

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) media: Media,
    pub(crate) show: Show,
}

/// What is shown of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Object,
    /// `PartialObjectMetadata`, of single objects and events.
    Partial,
    /// `PartialObjectMetadataList`, of lists.
    PartialList,
    /// What `kubectl get` prints.
    Table(IncludeObject),
}

/// A form of one served version.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) served: Served,
    pub(crate) form: Form,
    /// The table's epoch: after a change of rows, renderings made before do not count.
    pub(crate) epoch: u64,
    /// Ages are counted to its present.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Form {
    #[cfg(test)]
    pub(crate) const JSON: Self = Self { media: Media::Json, show: Show::Object };

    /// Whether only the metadata is shown.
    pub(crate) fn is_partial(self) -> bool {
        matches!(self.show, Show::Partial | Show::PartialList)
    }
}

impl View {
    /// Refuses the form of lists for one object, and the other way round, in upstream's words.
    pub(crate) fn check(&self, of_list: bool) -> Result<()> {
        match (self.form.show, of_list) {
            (Show::Partial, true) => {
                let kind = &self.served.resource.list_kind;
                Err(Error::unacceptable(format!(
                    "you requested {PARTIAL}, but the requested object is a list ({kind})"
                )))
            }
            (Show::PartialList, false) => {
                let kind = &self.served.resource.kind;
                let text = format!("you requested {PARTIAL}List, but the requested object is not a list ({kind})");
                Err(Error::unacceptable(text))
            }
            _ => Ok(()),
        }
    }

    /// Whether each object's bytes are made of the cache's without looking into a parsed object.
    pub(crate) fn is_direct(&self) -> bool {
        match (self.form.media, self.form.show) {
            (Media::Json, Show::Object) | (Media::Protobuf, Show::Object) => codec::is_stored(&self.served),
            (Media::Json | Media::Protobuf, Show::Partial | Show::PartialList) => true,
            _ => false,
        }
    }

    /// Tells this view from others of the same resource: renderings with the same number are the same.
    pub(crate) fn number(&self) -> u64 {
        let show = match self.form.show {
            Show::Object => 0,
            Show::Partial => 1,
            Show::PartialList => 2,
            Show::Table(include) => 3 + include as u64,
        };
        let group = u64::from(self.served.resource.stored_as.is_some());
        let form = ((self.form.media as u64) << 4) | show;
        (self.epoch << 16) | (group << 15) | ((self.served.version as u64) << 8) | form
    }

    /// An object of the cache as the body of an answer.
    pub(crate) fn entry(&self, entry: &Entry) -> Result<Bytes> {
        match (self.is_direct(), self.form.media) {
            (true, Media::Protobuf) => self.protobuf(Source::Json(entry.bytes())),
            (true, _) => self.slice(entry),
            (false, _) => self.object(entry.value()),
        }
    }

    /// An object of the cache in JSON, cut out of its bytes.
    pub(crate) fn slice(&self, entry: &Entry) -> Result<Bytes> {
        if !self.form.is_partial() {
            return Ok(entry.bytes().clone());
        }
        #[derive(serde::Deserialize)]
        struct Partial<'a> {
            #[serde(borrow)]
            metadata: &'a RawValue,
        }
        let partial: Partial<'_> = serde_json::from_slice(entry.bytes()).map_err(Error::internal)?;
        let head = format!(r#"{{"kind":"{PARTIAL}","apiVersion":"{META_VERSION}","metadata":"#);
        Ok([head.as_bytes(), partial.metadata.get().as_bytes(), b"}"].concat().into())
    }

    /// An object in its storage version as the body of an answer.
    pub(crate) fn object(&self, object: Value) -> Result<Bytes> {
        let shown = match self.form.show {
            Show::Object => codec::from_storage(&self.served, object)?,
            Show::Partial | Show::PartialList => columns::partial_metadata(&object),
            Show::Table(_) => {
                let revision = object["metadata"]["resourceVersion"].clone();
                let row = self.row(object)?;
                columns::table(&self.served.resource.columns, json!({ "resourceVersion": revision }), [row])
            }
        };
        match self.form.media {
            Media::Protobuf => self.protobuf(Source::Value(&shown)),
            media => codec::write(&shown, media),
        }
    }

    /// A row of a table: its cells, and what it carries of the object.
    pub(crate) fn row(&self, object: Value) -> Result<(Vec<Value>, Value)> {
        let Show::Table(include) = self.form.show else { return Err(Error::internal("only tables have rows")) };
        let cells = self.served.resource.columns.cells(&object, self.clock.now());
        let object = match include {
            IncludeObject::Object => codec::from_storage(&self.served, object)?,
            _ => object,
        };
        Ok((cells, columns::row_object(&object, include)))
    }

    /// An object of what is shown in its protobuf form.
    fn protobuf(&self, source: Source<'_>) -> Result<Bytes> {
        codec::protobuf(&self.ty()?, &self.api_version(), &self.kind(false), source)
    }

    /// The type of what is shown.
    fn ty(&self) -> Result<Type> {
        if self.form.is_partial() {
            let ty = Type::builtin("meta.v1.PartialObjectMetadata");
            return ty.ok_or_else(|| Error::internal("there are no facts of metadata"));
        }
        Ok(self.served.ty().clone())
    }

    /// The kind of what is shown.
    pub(crate) fn kind(&self, of_list: bool) -> String {
        let (kind, list) = (&self.served.resource.kind, &self.served.resource.list_kind);
        match (self.form.show, of_list) {
            (Show::Object, false) => kind.to_string(),
            (Show::Object, true) => list.to_string(),
            (Show::Partial | Show::PartialList, false) => PARTIAL.to_owned(),
            (Show::Partial | Show::PartialList, true) => format!("{PARTIAL}List"),
            (Show::Table(_), _) => "Table".to_owned(),
        }
    }

    /// The version of what is shown.
    pub(crate) fn api_version(&self) -> String {
        if self.form.show == Show::Object { self.served.api_version() } else { META_VERSION.to_owned() }
    }

    /// Writes the metadata of a list as the first field of its message.
    pub(crate) fn list_metadata(&self, writer: &mut Writer, metadata: &Value) -> Result<()> {
        let ty = Type::builtin("meta.v1.ListMeta").ok_or_else(|| Error::internal("there are no facts of lists"))?;
        writer.field(LIST_METADATA, &ty, Source::Value(metadata)).map_err(Error::internal)
    }

    /// Writes an object of the cache as an item of a list's message.
    pub(crate) fn list_item(&self, writer: &mut Writer, entry: &Entry) -> Result<()> {
        let ty = self.ty()?;
        let written = if self.is_direct() {
            writer.field(LIST_ITEMS, &ty, Source::Json(entry.bytes()))
        } else {
            let object = codec::from_storage(&self.served, entry.value())?;
            writer.field(LIST_ITEMS, &ty, Source::Value(&object))
        };
        written.map_err(Error::internal)
    }

    /// A watch event about an object.
    pub(crate) fn frame(&self, shown: Shown, entry: &Entry) -> Result<Bytes> {
        Ok(self.event(shown.as_str(), &self.entry(entry)?))
    }

    /// A bookmark: an object of what is shown that has nothing but a revision.
    pub(crate) fn bookmark(&self, metadata: Value) -> Result<Bytes> {
        let object = json!({"kind": self.kind(false), "apiVersion": self.api_version(), "metadata": metadata});
        let object = match self.form.media {
            Media::Protobuf => self.protobuf(Source::Value(&object))?,
            media => codec::write(&object, media)?,
        };
        Ok(self.event("BOOKMARK", &object))
    }

    /// A failure inside a stream whose status line has been sent.
    pub(crate) fn failure(&self, error: &Error) -> Bytes {
        let status = codec::status(error.status(), self.form.media).unwrap_or_default();
        self.event("ERROR", status.trim_ascii_end())
    }

    /// An event as it goes over the wire: `{"type":"ADDED","object":…}` and a newline, or a frame of protobuf.
    fn event(&self, kind: &str, object: &[u8]) -> Bytes {
        if self.form.media == Media::Protobuf {
            return protobuf::watch_frame(kind, object).into();
        }
        let mut bytes = BytesMut::with_capacity(object.len() + kind.len() + 24);
        bytes.put_slice(b"{\"type\":\"");
        bytes.put_slice(kind.as_bytes());
        bytes.put_slice(b"\",\"object\":");
        bytes.put_slice(object);
        bytes.put_slice(b"}\n");
        bytes.freeze()
    }
}
