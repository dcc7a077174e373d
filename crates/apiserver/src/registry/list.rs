//! Reading many objects: pages of a consistent state. JSON is sent while it is put together; protobuf says its length
//! first.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use schema::codec::protobuf::{self, ENVELOPE_END, Writer};
use schema::columns;
use serde_json::{Value, json};
use store::{Error as StoreError, Range};

use super::token::Token;
use super::{Registry, Scope, Show, View};
use crate::body::{Body, BodyError};
use crate::cache::{Entry, Filter, Sorted};
use crate::error::{Error, Result};
use crate::negotiate::Media;
use crate::parameters::{Freshness, ListOptions};

/// Bodies up to this size are sent as one piece with their length; larger ones in pieces of about this size.
const PIECE: usize = 256 * 1024;
/// Objects that are parsed before other requests get their turn.
const TURN: usize = 64;
/// Entries read from the store at once when an old state is listed.
const OLD_PAGE: usize = 1000;

/// Some objects of one state.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The state that was read.
    revision: u64,
    /// Empty when everything has been listed.
    continue_token: String,
    /// How many more there are, where that is known.
    remaining: Option<usize>,
}

impl Registry {
    /// The objects that `filter` lets pass.
    pub(crate) async fn list(&self, scope: &Scope<'_>, filter: &Filter, options: &ListOptions) -> Result<Page> {
        let token = match options.continue_token.as_str() {
            "" => None,
            text => Some(Token::decode(text)?),
        };
        if token.is_some() && !matches!(options.freshness, Freshness::Latest | Freshness::Any) {
            return Err(Error::bad_request("specifying resource version is not allowed when using continue"));
        }
        let start = token.as_ref().map_or("", |token| token.start.as_str());
        let exact = match (&token, options.freshness) {
            (Some(token), _) => token.revision,
            (None, Freshness::Exact(revision)) => Some(revision),
            (None, _) => None,
        };
        let freshness = if token.is_some() { Freshness::Latest } else { options.freshness };
        self.catch_up(freshness).await?;
        let progress = self.cache.progress();
        let snapshot = scope.resource.snapshot();
        match exact {
            // Nothing has changed since: the present state is that state.
            Some(revision) if snapshot.revision <= revision && revision <= progress => {
                Ok(page(&snapshot.objects, revision, start, filter, options))
            }
            Some(revision) => self.list_old(scope, revision, start, filter, options).await,
            None => Ok(page(&snapshot.objects, progress.max(snapshot.revision), start, filter, options)),
        }
    }

    /// Lists a state that only the store still knows.
    async fn list_old(
        &self,
        scope: &Scope<'_>,
        revision: u64,
        start: &str,
        filter: &Filter,
        options: &ListOptions,
    ) -> Result<Page> {
        let definition = scope.resource.definition();
        let prefix = format!("{}{}", definition.prefix, within(filter));
        let mut from = format!("{}{start}", definition.prefix);
        let mut objects = Sorted::default();
        loop {
            let range = Range { prefix: &prefix, start: Some(&from), limit: OLD_PAGE, at: Some(revision) };
            let read = self.storage.store.range(range).await.map_err(|error| expired(error, start))?;
            for entry in &read.entries {
                let bytes = self.storage.transform.open(&entry.key, entry.value.clone()).map_err(Error::internal)?;
                let key = &entry.key[definition.prefix.len()..];
                let made = Entry::new(key, entry.modified, &bytes, &definition.selectable).map_err(Error::internal)?;
                objects.insert(Arc::new(made));
            }
            let enough = options.limit > 0 && objects.under("").filter(|e| filter.matches(e)).count() > options.limit;
            match read.entries.last() {
                Some(last) if read.more() && !enough => from = format!("{}\0", last.key),
                _ => {
                    let mut page = page(&objects, revision, start, filter, options);
                    page.remaining = page.remaining.map(|count| count + usize::try_from(read.remaining).unwrap_or(0));
                    return Ok(page);
                }
            }
        }
    }
}

/// The part of the resource's keys that a filter leaves.
fn within(filter: &Filter) -> String {
    filter.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"))
}

/// A continue token may outlive its state; the client may go on with the present one if it likes.
fn expired(error: StoreError, start: &str) -> Error {
    if !matches!(error, StoreError::Compacted { .. }) {
        return error.into();
    }
    if start.is_empty() {
        return Error::expired("The resourceVersion for the provided list is too old.");
    }
    let text = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                list without the continue parameter, or use the continue token in this response to retrieve the \
                remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
                that were created, modified, or deleted between the time the first chunk was returned and now may show \
                up in the list.";
    Error::expired(text).continue_token(Token { revision: None, start: start.to_owned() }.encode())
}

/// Cuts a page out of a state.
fn page(objects: &Sorted, revision: u64, start: &str, filter: &Filter, options: &ListOptions) -> Page {
    let prefix = within(filter);
    let from = if start > prefix.as_str() { start } else { &prefix };
    let mut rest = objects.from(from).take_while(|entry| entry.key().starts_with(&prefix));
    let matching = rest.by_ref().filter(|entry| filter.matches(entry)).cloned();
    if options.limit == 0 {
        return Page { entries: matching.collect(), revision, continue_token: String::new(), remaining: None };
    }
    let mut entries: Vec<_> = matching.take(options.limit + 1).collect();
    if entries.len() <= options.limit {
        return Page { entries, revision, continue_token: String::new(), remaining: None };
    }
    entries.truncate(options.limit);
    let last = entries.last().map_or("", |entry| entry.key());
    // As upstream: how many remain is only said where nothing is selected. One of them has been looked at already.
    let remaining = (!filter.selects() && filter.name.is_none()).then(|| rest.count() + 1);
    Page { continue_token: Token::after(last, Some(revision)).encode(), remaining, entries, revision }
}

impl Page {
    /// The list's own metadata.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if !self.continue_token.is_empty() {
            metadata["continue"] = self.continue_token.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }

    /// The body of the answer.
    pub(crate) async fn render(self, view: View) -> Result<Body> {
        match view.form.media {
            Media::Protobuf => self.messages(&view).await,
            Media::Json if view.is_direct() => self.stream(view),
            _ => self.parsed(&view).await,
        }
    }

    fn head(&self, view: &View) -> Value {
        json!({"kind": view.kind(true), "apiVersion": view.api_version(), "metadata": self.metadata()})
    }

    /// Objects as the cache has them, one after the other.
    fn stream(self, view: View) -> Result<Body> {
        let mut head = self.head(&view).to_string();
        head.pop();
        head.push_str(",\"items\":[");
        let mut items = Items { view, head: Some(head), entries: self.entries.into_iter(), first: true, done: false };
        let first = items.next().transpose()?.unwrap_or_default();
        let Some(second) = items.next() else { return Ok(Body::full(first)) };
        let pieces = [Ok(first), second].into_iter().chain(items);
        let frames = futures::stream::iter(pieces).map(|piece| Ok::<_, BodyError>(Frame::data(piece?)));
        Ok(Body::wrap(StreamBody::new(frames)))
    }

    /// One message, in pieces: its metadata, then the items.
    async fn messages(self, view: &View) -> Result<Body> {
        let mut writer = Writer::with_capacity(PIECE + PIECE / 4);
        view.list_metadata(&mut writer, &self.metadata())?;
        let mut pieces = vec![Bytes::new()];
        for (index, entry) in self.entries.iter().enumerate() {
            if index % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            view.list_item(&mut writer, entry)?;
            if writer.len() >= PIECE {
                pieces.push(writer.take().into());
            }
        }
        pieces.push(writer.take().into());
        let length = pieces.iter().map(Bytes::len).sum();
        pieces[0] = protobuf::envelope(&view.api_version(), &view.kind(true), length).into();
        pieces.push(Bytes::from_static(ENVELOPE_END));
        Ok(match length {
            0..PIECE => Body::full(pieces.concat()),
            _ => Body::slices(pieces),
        })
    }

    /// Objects that must be looked into: other versions, tables, YAML.
    async fn parsed(self, view: &View) -> Result<Body> {
        let (mut rows, mut items) = (Vec::new(), Vec::new());
        for (index, entry) in self.entries.iter().enumerate() {
            if index % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            match view.form.show {
                Show::Table(_) => rows.push(view.row(entry.value())?),
                Show::Partial | Show::PartialList => items.push(columns::partial_metadata(&entry.value())),
                Show::Object => items.push(crate::codec::from_storage(&view.served, entry.value())?),
            }
        }
        let document = if let Show::Table(_) = view.form.show {
            columns::table(&view.served.resource.columns, self.metadata(), rows)
        } else {
            let mut list = self.head(view);
            list["items"] = items.into();
            list
        };
        Ok(Body::full(crate::codec::write(&document, view.form.media)?))
    }
}

/// The text of a list, put together piece by piece.
struct Items {
    view: View,
    head: Option<String>,
    entries: std::vec::IntoIter<Arc<Entry>>,
    first: bool,
    done: bool,
}

impl Iterator for Items {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Result<Bytes>> {
        if self.done {
            return None;
        }
        let ahead: usize = self.entries.as_slice().iter().take(256).map(|entry| entry.bytes().len() + 1).sum();
        let mut piece = BytesMut::with_capacity(ahead.min(PIECE + PIECE / 4) + 1024);
        if let Some(head) = self.head.take() {
            piece.put_slice(head.as_bytes());
        }
        while piece.len() < PIECE {
            let Some(entry) = self.entries.next() else {
                piece.put_slice(b"]}");
                self.done = true;
                break;
            };
            if !std::mem::take(&mut self.first) {
                piece.put_u8(b',');
            }
            match self.view.slice(&entry) {
                Ok(object) => piece.put_slice(&object),
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        Some(Ok(piece.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;

    fn objects(count: usize) -> Sorted {
        (0..count).map(|n| Arc::new(Entry::for_test(&format!("ns/{n:03}"), n as u64 + 1))).collect()
    }

    fn options(limit: usize) -> ListOptions {
        let mut options = ListOptions::parse(&Default::default(), false).expect("options");
        options.limit = limit;
        options
    }

    #[test]
    fn pages_follow_one_another() {
        let objects = objects(10);
        let filter = Filter::default();
        let (mut start, mut seen, mut counts) = (String::new(), Vec::new(), Vec::new());
        loop {
            let page = page(&objects, 10, &start, &filter, &options(4));
            seen.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
            counts.push(page.remaining);
            if page.continue_token.is_empty() {
                break;
            }
            let token = Token::decode(&page.continue_token).expect("a token");
            assert_eq!(token.revision, Some(10));
            start = token.start;
        }
        assert_eq!(seen, (0..10).map(|n| format!("{n:03}")).collect::<Vec<_>>());
        assert_eq!(counts, [Some(6), Some(2), None]);
    }

    #[test]
    fn namespaces_and_selections_cut() {
        let filter = Filter { namespace: Some("other".into()), ..Filter::default() };
        assert!(page(&objects(10), 10, "", &filter, &options(0)).entries.is_empty());
        let filter = Filter { name: Some("003".into()), ..Filter::default() };
        let page = page(&objects(10), 10, "", &filter, &options(1));
        assert_eq!((page.entries.len(), page.remaining), (1, None));
    }

    #[tokio::test]
    async fn pieces_make_a_list() {
        let objects = objects(3000);
        let served = schema::Table::builtin().snapshot().resource("", "v1", "configmaps").expect("a row");
        let clock = host::Host::simulated("2026-01-01T00:00:00Z".parse().expect("a time"), 1).clock;
        let items = Items {
            view: View { served, form: Form::JSON, epoch: 0, clock },
            head: Some("{\"items\":[".to_owned()),
            entries: objects.from("").cloned().collect::<Vec<_>>().into_iter(),
            first: true,
            done: false,
        };
        let text: Vec<u8> = items.flat_map(|piece| piece.expect("a piece")).collect();
        let list: Value = serde_json::from_slice(&text).expect("json");
        assert_eq!(list["items"].as_array().map(Vec::len), Some(3000));
    }
}
