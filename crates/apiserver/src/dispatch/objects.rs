//! The verbs on stored objects.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use host::OnEnd;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use schema::columns;
use schema::resource::ScalePaths;
use serde_json::{Value, json};
use streaming::{Ending, Framing};

use super::{Ask, Dispatch, body_type, unserved};
use crate::authentication::subprotocols_without_token;
use crate::body::{Body, BodyError};
use crate::cache::{Filter, UnsupportedField};
use crate::codec;
use crate::error::{self, Error, Result};
use crate::negotiate::Media;
use crate::parameters::{DeleteOptions, ListOptions, Propagation, WriteOptions, get_freshness};
use crate::pipeline::Response;
use crate::registry::{Patch, Rescale, Scope, Show, View, scale_of};
use crate::request::Verb;
use crate::respond;

/// Bytes of the length before a frame of protobuf.
const LENGTH: usize = 4;

impl Dispatch {
    /// The verbs of objects, and of their subresources that are views of the whole object.
    pub(super) async fn object(&self, ask: &Ask<'_>) -> Result<Response> {
        if !ask.scope.served.resource.is_stored() {
            let legacy = ask.scope.target.group.is_empty() && ask.scope.target.resource == "bindings";
            return if legacy { self.legacy_binding(ask).await } else { Err(unserved(ask)) };
        }
        match ask.verb {
            Verb::Get => self.get(ask).await,
            Verb::List => self.list(ask).await,
            Verb::Watch => self.watch(ask).await,
            Verb::Create => self.create(ask).await,
            Verb::Update => self.update(ask).await,
            Verb::Patch => self.patch(ask).await,
            Verb::Delete => self.delete(ask).await,
            Verb::DeleteCollection => self.delete_collection(ask).await,
            _ => Err(Error::method_not_allowed()),
        }
    }

    async fn get(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        view.check(false)?;
        let entry = self.registry.get(&ask.scope, get_freshness(&ask.query)?).await?;
        Ok(respond::full(StatusCode::OK, view.form.media.header(), view.entry(&entry)?))
    }

    async fn list(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        view.check(true)?;
        let options = ListOptions::parse(&ask.query, false)?;
        let filter = filter(&ask.scope, &options)?;
        let media = view.form.media.header();
        let page = self.registry.list(&ask.scope, &filter, &options).await?;
        Ok(respond::with(StatusCode::OK, media, page.render(view).await?))
    }

    async fn watch(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, true)?;
        let options = ListOptions::parse(&ask.query, true)?;
        let mut filter = filter(&ask.scope, &options)?;
        // The legacy form names the object in the path, which is what the caller was authorized for.
        let name = ask.scope.target.name.as_str();
        if !name.is_empty() {
            if filter.name.as_deref().is_some_and(|wanted| wanted != name) {
                return Err(Error::bad_request("the field selector and the path name different objects"));
            }
            filter.name = Some(name.into());
        }
        let media = view.form.media;
        let lines = self.registry.watch(&ask.scope, filter, view, &options).await?;
        if streaming::is_websocket(ask.headers) {
            return self.watch_over_websocket(ask, media, lines);
        }
        let body = StreamBody::new(lines.map(|line| Ok::<_, BodyError>(Frame::data(line))));
        Ok(respond::with(StatusCode::OK, media.stream_header(), Body::wrap(body)))
    }

    /// The same, a message each: a line of JSON, or a frame of protobuf without the length that messages have anyway. The client's first subprotocol is agreed to, whatever it is: none changes anything.
    fn watch_over_websocket(&self, ask: &Ask<'_>, media: Media, lines: BoxStream<'static, Bytes>) -> Result<Response> {
        let (framing, lines) = match media {
            Media::Protobuf => (Framing::Binary, lines.map(|frame| frame.slice(LENGTH..)).boxed()),
            _ => (Framing::Text, lines),
        };
        let shutdown = self.registry.host.shutdown();
        let ending = move || if shutdown.is_cancelled() { Ending::Away } else { Ending::Complete };
        let offered = subprotocols_without_token(ask.headers);
        let subprotocol = offered.split(", ").next().filter(|name| !name.is_empty());
        let (headers, upgrade) = (ask.headers, ask.upgrade.clone());
        let accepted = streaming::accept_messages(headers, upgrade, subprotocol, framing, lines, ending)
            .map_err(|error| Error::bad_request(error.to_string()))?;
        self.registry.host.tasks.spawn("watch-websocket", OnEnd::Expected, async move {
            if let Err(error) = accepted.session.await {
                tracing::debug!(%error, "a watch over WebSocket broke");
            }
        });
        Ok(accepted.response.map(|_| Body::empty()))
    }

    async fn create(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        let options = WriteOptions::parse(&ask.query)?;
        let object = ask.stored_body(&options)?;
        let written = self.registry.create(&ask.scope, object, &options).await?;
        ask.answer(StatusCode::CREATED, &view, written.object)
    }

    async fn update(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        let options = WriteOptions::parse(&ask.query)?;
        let object = ask.stored_body(&options)?;
        let updated = self.registry.update(&ask.scope, object, &options).await?;
        let status = if updated.created { StatusCode::CREATED } else { StatusCode::OK };
        ask.answer(status, &view, updated.written.object)
    }

    async fn patch(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        let options = WriteOptions::parse(&ask.query)?;
        let patch = ask.read_patch()?;
        options.check_patch()?;
        let written = self.registry.patch(&ask.scope, &patch, &options).await?;
        ask.answer(StatusCode::OK, &view, written.object)
    }

    async fn delete(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        let options = DeleteOptions::parse(&ask.query, &ask.body)?;
        let scope = &ask.scope;
        let written = self.registry.delete(scope, &options).await?;
        if written.gone && !scope.strategy.returns_deleted() {
            let uid = written.object["metadata"]["uid"].as_str().unwrap_or_default();
            let status = error::deleted(scope.about(), &scope.target.name, uid);
            return ask.document(StatusCode::OK, &view, &serde_json::to_value(status).map_err(Error::internal)?);
        }
        let cascading =
            options.propagation == Some(Propagation::Foreground) || options.orphan_dependents == Some(false);
        let status = if !written.gone && cascading { StatusCode::ACCEPTED } else { StatusCode::OK };
        ask.answer(status, &view, written.object)
    }

    async fn delete_collection(&self, ask: &Ask<'_>) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        let options = DeleteOptions::parse(&ask.query, &ask.body)?;
        let selection = ListOptions::parse(&ask.query, false)?;
        let filter = filter(&ask.scope, &selection)?;
        let page = self.registry.list(&ask.scope, &filter, &selection).await?;
        self.registry.delete_collection(&ask.scope, &page.entries, &options).await?;
        let media = view.form.media.header();
        Ok(respond::with(StatusCode::OK, media, page.render(view).await?))
    }

    /// `/scale`: get, update, patch.
    pub(super) async fn scale(&self, ask: &Ask<'_>, paths: &ScalePaths) -> Result<Response> {
        let view = ask.view(&self.registry, false)?;
        if ask.verb == Verb::Get {
            let entry = self.registry.get(&ask.scope, get_freshness(&ask.query)?).await?;
            return ask.document(StatusCode::OK, &view, &scale_of(&entry.value(), paths));
        }
        let options = WriteOptions::parse(&ask.query)?;
        let scale = if ask.verb == Verb::Update {
            let new = ask.read_body(&options)?;
            self.registry.rescale(&ask.scope, paths, &Rescale::Put(&new), &options).await?
        } else {
            let patch = ask.read_patch()?;
            let ty = body_type(&object::Gvk::new("autoscaling", "v1", "Scale"))?;
            let apply = |scale: &mut Value| patch.apply_to(scale, ty.node());
            self.registry.rescale(&ask.scope, paths, &Rescale::Patch(&apply), &options).await?
        };
        ask.document(StatusCode::OK, &view, &scale)
    }
}

impl Ask<'_> {
    /// The body as an object in the storage version.
    pub(super) fn stored_body(&self, options: &WriteOptions) -> Result<Value> {
        codec::to_storage(&self.scope.served, &self.scope.stored, self.read_body(options)?)
    }

    fn read_patch(&self) -> Result<Patch> {
        Patch::parse(self.headers.get(http::header::CONTENT_TYPE), &self.body, self.scope.served.resource.custom)
    }

    /// An object in its storage version as the answer.
    pub(super) fn answer(&self, status: StatusCode, view: &View, object: Value) -> Result<Response> {
        Ok(respond::full(status, view.form.media.header(), view.object(object)?))
    }

    /// A document of another kind as the answer; a `Status` as it is, objects as far as they are to be shown.
    pub(super) fn document(&self, status: StatusCode, view: &View, document: &Value) -> Result<Response> {
        let media = view.form.media;
        let body = match view.form.show {
            Show::Partial if document["kind"] != "Status" => codec::write(&columns::partial_metadata(document), media),
            _ => codec::write(document, media),
        };
        Ok(respond::full(status, media.header(), body?))
    }
}

/// What the request selects.
fn filter(scope: &Scope<'_>, options: &ListOptions) -> Result<Filter> {
    let row = &scope.served.resource;
    let definition = scope.resource.definition();
    let namespace = Some(scope.namespace()).filter(|namespace| !namespace.is_empty());
    let resolve = |label: &str| {
        if !row.is_selectable(label) {
            return None;
        }
        let path = row.selectable_fields.iter().find(|field| field.name == label).map(|field| &*field.path);
        path.map_or_else(|| definition.field(label), |path| definition.field_at(path))
    };
    Filter::new(namespace, options.labels.clone(), &options.fields, resolve)
        .map_err(|UnsupportedField(label)| Error::bad_request(row.unselectable(&scope.served.version().name, &label)))
}

/// `Status` of a success that has nothing else to say.
pub(super) fn success(code: StatusCode) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code.as_u16()})
}
