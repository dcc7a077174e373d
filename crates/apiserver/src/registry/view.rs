//! How objects are shown: a version and a form. Bytes of the cache are used as they are wherever that is possible.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use host::Clock;
use schema::Served;
use schema::columns::{self, IncludeObject};
use serde_json::{Value, json};

use crate::cache::{Entry, Shown};
use crate::codec;
use crate::error::{Error, Result};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Yaml,
    /// What `kubectl get` prints.
    Table(IncludeObject),
    /// `PartialObjectMetadata` and its list.
    Partial,
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

impl View {
    /// Whether the cache's bytes are the answer.
    pub(crate) fn is_stored(&self) -> bool {
        self.form == Form::Json && codec::is_stored(&self.served)
    }

    /// Tells this view from others of the same resource: renderings with the same number are the same.
    pub(crate) fn number(&self) -> u64 {
        let form = match self.form {
            Form::Json => 0,
            Form::Yaml => 1,
            Form::Partial => 2,
            Form::Table(include) => 3 + include as u64,
        };
        let group = u64::from(self.served.resource.stored_as.is_some());
        (self.epoch << 16) | (group << 15) | ((self.served.version as u64) << 8) | form
    }

    /// An object of the cache as the body of an answer.
    pub(crate) fn entry(&self, entry: &Entry) -> Result<Bytes> {
        if self.is_stored() { Ok(entry.bytes().clone()) } else { self.object(entry.value()) }
    }

    /// An object in its storage version as the body of an answer.
    pub(crate) fn object(&self, object: Value) -> Result<Bytes> {
        let shown = match self.form {
            Form::Json | Form::Yaml => codec::from_storage(&self.served, object)?,
            Form::Partial => columns::partial_metadata(&object),
            Form::Table(_) => {
                let revision = object["metadata"]["resourceVersion"].clone();
                let row = self.row(object)?;
                columns::table(&self.served.resource.columns, json!({ "resourceVersion": revision }), [row])
            }
        };
        self.encode(&shown)
    }

    /// A row of a table: its cells, and what it carries of the object.
    pub(crate) fn row(&self, object: Value) -> Result<(Vec<Value>, Value)> {
        let Form::Table(include) = self.form else { return Err(Error::internal("only tables have rows")) };
        let cells = self.served.resource.columns.cells(&object, self.clock.now());
        let object = match include {
            IncludeObject::Object => codec::from_storage(&self.served, object)?,
            _ => object,
        };
        Ok((cells, columns::row_object(&object, include)))
    }

    /// Any document in this view's media type.
    pub(crate) fn encode(&self, document: &Value) -> Result<Bytes> {
        match self.form {
            Form::Yaml => Ok(codec::to_yaml(document)),
            _ => Ok(serde_json::to_vec(document).map_err(Error::internal)?.into()),
        }
    }

    /// A watch event as it goes over the wire: `{"type":"ADDED","object":…}` and a newline.
    pub(crate) fn frame(&self, shown: Shown, entry: &Entry) -> Result<Bytes> {
        Ok(frame(shown.as_str(), &self.entry(entry)?))
    }
}

/// A watch event around an object's JSON.
pub(crate) fn frame(kind: &str, object: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(object.len() + kind.len() + 24);
    bytes.put_slice(b"{\"type\":\"");
    bytes.put_slice(kind.as_bytes());
    bytes.put_slice(b"\",\"object\":");
    bytes.put_slice(object);
    bytes.put_slice(b"}\n");
    bytes.freeze()
}
