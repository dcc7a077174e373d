//! Discovery and OpenAPI documents, made once for every state of the table.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use schema::openapi::{self, Texts};
use schema::{Snapshot, Table, discovery};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::codec;
use crate::error::Result;
use crate::negotiate::Media;

/// A document as it is sent, and the name of its content.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    bytes: Bytes,
    /// Large documents are kept as gzip streams.
    packed: bool,
    /// With its quotes.
    pub(crate) etag: String,
}

/// Makes documents on first demand and keeps them until the table changes.
pub(crate) struct Documents {
    table: Arc<Table>,
    /// Where clients reach this server.
    server: String,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    epoch: u64,
    documents: HashMap<Key, Document>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Aggregated {
        of_core: bool,
        media: Media,
    },
    OpenapiIndex,
    /// A document of v3, by its name.
    Openapi(String),
    OpenapiV2 {
        protobuf: bool,
    },
}

impl Documents {
    pub(crate) fn new(table: Arc<Table>, server: String) -> Self {
        Self { table, server, kept: Mutex::default() }
    }

    /// `/`: the paths there are.
    pub(crate) fn root(&self) -> Value {
        let snapshot = self.table.snapshot();
        let mut paths: Vec<String> =
            ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
                .map(str::to_owned)
                .into();
        for group in snapshot.groups() {
            if !group.name.is_empty() {
                paths.push(format!("/apis/{}", group.name));
            }
            paths.extend(group.versions.iter().map(|version| format!("/{}", openapi::path(&group.name, version))));
        }
        paths.sort();
        json!({ "paths": paths })
    }

    pub(crate) fn versions(&self, of_core: bool) -> Value {
        let snapshot = self.table.snapshot();
        if of_core { discovery::api_versions(&snapshot, &self.server) } else { discovery::group_list(&snapshot) }
    }

    pub(crate) fn group(&self, name: &str) -> Option<Value> {
        discovery::group(&self.table.snapshot(), name)
    }

    pub(crate) fn resources(&self, group: &str, version: &str) -> Option<Value> {
        discovery::resource_list(&self.table.snapshot(), group, version)
    }

    /// Named by its JSON in every media type.
    pub(crate) fn aggregated(&self, of_core: bool, media: Media) -> Result<Document> {
        let snapshot = self.table.snapshot();
        let make = || discovery::aggregated(&snapshot, of_core);
        let of = |media| Key::Aggregated { of_core, media };
        let json = self.keep(&snapshot, of(Media::Json), || Document::new(&make()));
        if media == Media::Json {
            return Ok(json);
        }
        let bytes = codec::write(&make(), media)?;
        Ok(self.keep(&snapshot, of(media), || Document { bytes, packed: false, etag: json.etag }))
    }

    pub(crate) fn openapi_index(&self) -> Document {
        let snapshot = self.table.snapshot();
        self.keep(&snapshot, Key::OpenapiIndex, || {
            let texts = Texts::read();
            let digest = |name: &str| self.named(&snapshot, name, &texts).digest().to_owned();
            Document::new(&openapi::index(&snapshot, digest))
        })
    }

    /// A document of OpenAPI v3, by its name: `apis/apps/v1`.
    pub(crate) fn openapi(&self, name: &str) -> Option<Document> {
        let snapshot = self.table.snapshot();
        if let Some(document) = self.kept(snapshot.epoch()).documents.get(&Key::Openapi(name.to_owned())) {
            return Some(document.clone());
        }
        let known = openapi::documents(&snapshot).iter().any(|known| known == name);
        known.then(|| self.named(&snapshot, name, &Texts::read()))
    }

    fn named(&self, snapshot: &Snapshot, name: &str, texts: &Texts) -> Document {
        let make = || openapi::document(snapshot, name, texts).unwrap_or_default();
        self.keep(snapshot, Key::Openapi(name.to_owned()), || {
            Document::packed(|out| Ok(serde_json::to_writer(out, &make())?))
        })
    }

    /// OpenAPI v2. Both forms have the same name, as they say the same.
    pub(crate) fn openapi_v2(&self, protobuf: bool) -> Document {
        let snapshot = self.table.snapshot();
        self.keep(&snapshot, Key::OpenapiV2 { protobuf }, || {
            if protobuf {
                let etag = self.openapi_v2(false).etag;
                let encoded = || openapi::v2_protobuf(&snapshot, &Texts::read());
                Document { etag, ..Document::packed(|out| out.write_all(&encoded())) }
            } else {
                Document::packed(|out| openapi::write_v2(&snapshot, &Texts::read(), out))
            }
        })
    }

    /// The kept document, or the one that `make` makes. Nothing is locked while it is made.
    fn keep(&self, snapshot: &Snapshot, key: Key, make: impl FnOnce() -> Document) -> Document {
        let epoch = snapshot.epoch();
        if let Some(document) = self.kept(epoch).documents.get(&key) {
            return document.clone();
        }
        let document = make();
        let mut kept = self.kept(epoch);
        if kept.epoch == epoch {
            kept.documents.insert(key, document.clone());
        }
        document
    }

    /// What is kept, emptied when the table has changed since.
    fn kept(&self, epoch: u64) -> std::sync::MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.epoch < epoch {
            *kept = Kept { epoch, documents: HashMap::new() };
        }
        kept
    }
}

impl Document {
    fn new(value: &Value) -> Self {
        let bytes = serde_json::to_vec(value).expect("a value is always JSON");
        let etag = format!("\"{}\"", openapi::digest(&bytes));
        Self { bytes: bytes.into(), packed: false, etag }
    }

    /// What `write` writes, packed while it is written: the plain document is never there as a whole.
    fn packed(write: impl FnOnce(&mut Packer) -> io::Result<()>) -> Self {
        let mut packer = Packer::default();
        write(&mut packer).expect("memory takes everything, and values are always JSON");
        let etag = format!("\"{:X}\"", packer.digest.finalize());
        let bytes = packer.gzip.finish().expect("memory takes everything");
        Self { bytes: bytes.into(), packed: true, etag }
    }

    /// The name of the content, without quotes.
    pub(crate) fn digest(&self) -> &str {
        self.etag.trim_matches('"')
    }

    /// The headers of a request that its answer depends on.
    pub(crate) fn varies(&self) -> &'static str {
        if self.packed { "Accept, Accept-Encoding" } else { "Accept" }
    }

    /// The bytes to send, and whether they are a gzip stream, which the client must accept.
    pub(crate) fn content(&self, gzip: bool) -> (Bytes, bool) {
        if !self.packed || gzip {
            return (self.bytes.clone(), self.packed);
        }
        let mut plain = Vec::new();
        let unpacked = flate2::read::GzDecoder::new(&*self.bytes).read_to_end(&mut plain);
        unpacked.expect("what was packed here can be unpacked");
        (plain.into(), false)
    }
}

/// Names and packs what is written to it.
struct Packer {
    digest: Sha256,
    gzip: GzEncoder<Vec<u8>>,
}

impl Default for Packer {
    fn default() -> Self {
        Self { digest: Sha256::new(), gzip: GzEncoder::new(Vec::new(), Compression::default()) }
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.gzip.write(bytes)?;
        self.digest.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gzip.flush()
    }
}
