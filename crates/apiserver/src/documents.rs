//! Discovery and OpenAPI documents, made once for every state of the table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use schema::{Snapshot, Table, discovery, openapi};
use serde_json::{Value, json};

use crate::codec;
use crate::error::Result;
use crate::negotiate::Media;

/// A document as it is sent, and the name of its content.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) body: Bytes,
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
    Aggregated { of_core: bool, media: Media },
    OpenapiIndex,
    Openapi { group: String, version: String },
}

impl Documents {
    pub(crate) fn new(table: Arc<Table>, server: String) -> Self {
        Self { table, server, kept: Mutex::default() }
    }

    /// `/`: the paths there are.
    pub(crate) fn root(&self) -> Value {
        let snapshot = self.table.snapshot();
        let mut paths: Vec<String> =
            ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/version"]
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
        let body = codec::write(&make(), media)?;
        Ok(self.keep(&snapshot, of(media), || Document { body, etag: json.etag }))
    }

    pub(crate) fn openapi_index(&self) -> Document {
        let snapshot = self.table.snapshot();
        let digest = |group: &str, version: &str| {
            self.openapi(group, version).map(|document| document.etag.trim_matches('"').to_owned()).unwrap_or_default()
        };
        self.keep(&snapshot, Key::OpenapiIndex, || Document::new(&openapi::index(&snapshot, digest)))
    }

    pub(crate) fn openapi(&self, group: &str, version: &str) -> Option<Document> {
        let snapshot = self.table.snapshot();
        openapi::group_versions(&snapshot).find(|known| *known == (group, version))?;
        let key = Key::Openapi { group: group.to_owned(), version: version.to_owned() };
        let make = || Document::new(&openapi::document(&snapshot, group, version).unwrap_or_default());
        Some(self.keep(&snapshot, key, make))
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
        let body = serde_json::to_vec(value).expect("a value is always JSON");
        let etag = format!("\"{}\"", openapi::digest(&body));
        Self { body: body.into(), etag }
    }
}
