//! List and watch requests and their answers, decoded object by object.

use futures::{Stream, StreamExt};
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::{ApiResource, DynamicObject, Request, Resource, Status};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use crate::object::{Object, Scope, parse_revision};

/// Objects asked for in one list request.
const PAGE: u32 = 1000;
/// The longest watch event read: several times the largest object a server stores.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// What the server is asked to send of each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    Whole,
    Metadata,
}

/// Why a list or watch ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The revision asked for is no longer kept: list again.
    #[error("the server no longer has the revision to go on from")]
    Expired,
    #[error("cannot build the request")]
    Request(#[from] kube::core::request::Error),
    #[error("the server did not answer or refused")]
    Call(#[source] kube::Error),
    #[error("cannot decode a list")]
    List(#[source] serde_json::Error),
    #[error("cannot decode a watch event")]
    Event(#[source] serde_json::Error),
    #[error("cannot read the watch stream")]
    Read(#[from] LinesCodecError),
    #[error("the server ended the watch: {0}")]
    Ended(String),
}

/// Where objects of one type and scope come from.
pub(crate) struct Source {
    client: Client,
    pub(crate) plural: String,
    request: Request,
    labels: Option<String>,
    fields: Option<String>,
    projection: Projection,
}

/// A whole content as of a revision.
pub(crate) struct Listing<K> {
    pub(crate) objects: Vec<K>,
    pub(crate) revision: u64,
}

pub(crate) enum Event<K> {
    Applied(K),
    Deleted(K),
    Bookmark(u64),
}

#[derive(Deserialize)]
struct RawListing<'a> {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    r#type: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct BookmarkObject {
    metadata: ListMeta,
}

impl Source {
    pub(crate) fn new(client: Client, resource: &ApiResource, scope: &Scope, projection: Projection) -> Self {
        Self {
            client,
            plural: resource.plural.clone(),
            request: Request::new(DynamicObject::url_path(resource, scope.namespace.as_deref())),
            labels: scope.labels.as_deref().map(str::to_owned),
            fields: scope.fields.as_deref().map(str::to_owned),
            projection,
        }
    }

    /// Everything, page by page, as of one revision.
    pub(crate) async fn list<K: Object>(&self) -> Result<Listing<K>, Error> {
        let mut listing = Listing { objects: Vec::new(), revision: 0 };
        let mut continue_token = None;
        loop {
            let text = self.page(continue_token).await?;
            let page: RawListing<'_> = serde_json::from_str(&text).map_err(Error::List)?;
            let items = page.items.unwrap_or_default();
            listing.objects.extend(items.into_iter().filter_map(|item| self.decode(item)));
            listing.revision = parse_revision(page.metadata.resource_version.as_deref());
            continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if continue_token.is_none() {
                return Ok(listing);
            }
        }
    }

    async fn page(&self, continue_token: Option<String>) -> Result<String, Error> {
        let parameters = ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            continue_token,
            ..ListParams::default()
        };
        let request = match self.projection {
            Projection::Whole => self.request.list(&parameters)?,
            Projection::Metadata => self.request.list_metadata(&parameters)?,
        };
        self.client.request_text(request).await.map_err(classify)
    }

    /// Events after `revision`, for at most `seconds`.
    pub(crate) async fn watch<K: Object>(
        &self,
        revision: u64,
        seconds: u32,
    ) -> Result<impl Stream<Item = Result<Option<Event<K>>, Error>> + Send + use<'_, K>, Error> {
        let parameters = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: false,
        };
        let revision = revision.to_string();
        let mut request = match self.projection {
            Projection::Whole => self.request.watch(&parameters, &revision)?,
            Projection::Metadata => self.request.watch_metadata(&parameters, &revision)?,
        };
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let body = self.client.request_stream(request).await.map_err(classify)?;
        let lines = FramedRead::new(body.compat(), LinesCodec::new_with_max_length(MAX_EVENT_BYTES));
        Ok(lines.map(|line| self.event(&line?)))
    }

    /// One line of a watch; `None` for what cannot be decoded into `K` or says nothing.
    fn event<K: Object>(&self, line: &str) -> Result<Option<Event<K>>, Error> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let raw: RawEvent<'_> = serde_json::from_str(line).map_err(Error::Event)?;
        match raw.r#type.as_str() {
            "ADDED" | "MODIFIED" => Ok(self.decode(raw.object).map(Event::Applied)),
            "DELETED" => Ok(self.decode(raw.object).map(Event::Deleted)),
            "BOOKMARK" => {
                let bookmark: BookmarkObject = serde_json::from_str(raw.object.get()).map_err(Error::Event)?;
                Ok(Some(Event::Bookmark(parse_revision(bookmark.metadata.resource_version.as_deref()))))
            }
            _ => Err(ended(raw.object)),
        }
    }

    /// An object that does not fit its type is left out with a warning: it must not blind us to all others.
    fn decode<K: Object>(&self, object: &RawValue) -> Option<K> {
        serde_json::from_str(object.get())
            .inspect_err(
                |error| tracing::warn!(resource = self.plural, %error, "leaving out an object that cannot be decoded"),
            )
            .ok()
    }
}

fn classify(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if status.code == 410 => Error::Expired,
        other => Error::Call(other),
    }
}

/// The end that an ERROR event announces.
fn ended(object: &RawValue) -> Error {
    match serde_json::from_str::<Status>(object.get()) {
        Ok(status) if status.code == 410 => Error::Expired,
        Ok(status) => Error::Ended(status.message),
        Err(error) => Error::Event(error),
    }
}
