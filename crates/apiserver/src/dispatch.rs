//! The end of the pipeline: one route for every resource, found in the table, and the few paths beside them.

mod actions;
mod objects;
mod paths;

use std::sync::Arc;

use async_trait::async_trait;
use http::{StatusCode, header};
use object::Gvk;
use schema::{Served, SubresourceKind, Type};
use serde_json::Value;

use crate::admit::Operation;
use crate::documents::Documents;
use crate::endpoints::{Call, Endpoints};
use crate::error::{About, Error, Result};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::parameters::{Query, WriteOptions};
use crate::pipeline::{Endpoint, Exchange, Response};
use crate::registry::{Admitting, Registry, Scope, View};
use crate::request::{Target, Verb};
use crate::strategy;
use crate::{codec, compress, negotiate};

/// Answers requests that have passed the layers.
pub(crate) struct Dispatch {
    pub(crate) registry: Arc<Registry>,
    pub(crate) endpoints: Endpoints,
    pub(crate) documents: Documents,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
}

#[async_trait]
impl Endpoint for Dispatch {
    async fn serve(&self, exchange: Exchange) -> Result<Response> {
        let info = exchange.info.clone();
        match &info.target {
            Some(target) => self.resource(exchange, target).await,
            None => self.path(exchange).await,
        }
    }
}

/// A request for a resource, with what was found out about it.
struct Ask<'a> {
    scope: Scope<'a>,
    verb: Verb,
    query: Query,
    headers: &'a http::HeaderMap,
    /// The connection's other protocol, where the request asks for one.
    upgrade: Option<hyper::upgrade::OnUpgrade>,
    body: bytes::Bytes,
    epoch: u64,
}

impl Dispatch {
    async fn resource(&self, exchange: Exchange, target: &Target) -> Result<Response> {
        let snapshot = self.registry.table.snapshot();
        let served =
            snapshot.resource(&target.group, &target.version, &target.resource).ok_or_else(Error::no_such_path)?;
        check_place(&served, target, exchange.info.verb)?;
        if let Some(text) = &served.version().deprecation {
            exchange.warnings.add(text.clone());
        }
        if let Some(connector) = self.endpoints.find_connector(target) {
            self.admit_connect(&exchange, &served, target).await?;
            return connector.connect(exchange).await;
        }
        let kind = subresource_kind(&served, target)?;
        check_verb(&served, target, exchange.info.verb)?;
        let Exchange { parts, body, info, user, warnings, mut slot, .. } = exchange;
        let scope = self.scope(&snapshot, served, target, &user, &warnings, &parts.headers)?;
        let ask = Ask {
            verb: info.verb,
            query: Query::of(&parts.uri),
            headers: &parts.headers,
            upgrade: parts.extensions.get().cloned(),
            body: slot.read(body, self.registry.limits.body).await?,
            epoch: snapshot.epoch(),
            scope,
        };
        let response = match (self.endpoints.find_computed(target), kind) {
            (Some(computed), _) => self.compute(&ask, &*computed).await,
            (None, None | Some(SubresourceKind::Status | SubresourceKind::View)) => self.object(&ask).await,
            (None, Some(SubresourceKind::Scale(paths))) => self.scale(&ask, &paths).await,
            (None, Some(SubresourceKind::Action)) => self.action(&ask).await,
            (None, Some(SubresourceKind::Connect)) => Err(unserved(&ask)),
        }?;
        Ok(if ask.verb == Verb::Watch { response } else { compress::answer(ask.headers, response) })
    }

    fn scope<'a>(
        &self,
        snapshot: &schema::Snapshot,
        served: Served,
        target: &'a Target,
        user: &'a crate::user::User,
        warnings: &'a crate::pipeline::Warnings,
        headers: &http::HeaderMap,
    ) -> Result<Scope<'a>> {
        let row = &served.resource;
        let stored = match &row.stored_as {
            None => row.storage_version().ty.clone(),
            Some(gvk) => snapshot.kind(gvk).map(|stored| stored.ty().clone()).ok_or_else(Error::no_such_path)?,
        };
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        Ok(Scope {
            stored,
            resource: self.registry.resource_of(row),
            strategy: strategy::of(&row.group, &row.kind),
            target,
            user,
            warnings,
            agent: patch::managed::manager_of(agent),
            served,
        })
    }

    /// An object goes in, another comes out; nothing is stored.
    async fn compute(&self, ask: &Ask<'_>, computed: &dyn crate::endpoints::Computed) -> Result<Response> {
        if ask.verb != Verb::Create {
            return Err(Error::method_not_allowed());
        }
        let view = ask.view(&self.registry, false)?;
        let options = WriteOptions::parse(&ask.query)?;
        let object = ask.read_body(&options)?;
        let call = Call {
            target: ask.scope.target,
            user: ask.scope.user,
            dry_run: options.dry_run,
            warnings: ask.scope.warnings,
        };
        let answer = computed.create(call, object).await?;
        ask.document(StatusCode::CREATED, &view, &answer)
    }

    async fn admit_connect(&self, exchange: &Exchange, served: &Served, target: &Target) -> Result<()> {
        let snapshot = self.registry.table.snapshot();
        let scope =
            self.scope(&snapshot, served.clone(), target, &exchange.user, &exchange.warnings, &exchange.parts.headers)?;
        let admitting = Admitting::new(&scope, Operation::Connect, Value::Null, false);
        let admitted = admitting.admitted(&scope, &self.registry.objects, &target.name, None);
        self.registry.mutate(&admitted, &mut Value::Null).await?;
        self.registry.judge(&admitted, &Value::Null).await
    }
}

impl Ask<'_> {
    /// The form that the caller accepts.
    fn view(&self, registry: &Registry, watching: bool) -> Result<View> {
        let include = self.query.get("includeObject").unwrap_or_default();
        Ok(View {
            served: self.scope.served.clone(),
            form: negotiate::form(self.headers, include, watching, self.scope.served.resource.custom)?,
            epoch: self.epoch,
            clock: registry.host.clock.clone(),
        })
    }

    /// The body as an object of the kind that goes with the path, in the version of the request.
    fn read_body(&self, options: &WriteOptions) -> Result<Value> {
        let form = codec::form_of(self.headers)?;
        let (scope, validation) = (&self.scope, options.field_validation);
        let body = scope.served.resource.subresource(&scope.target.subresource).and_then(|sub| sub.body.as_ref());
        match body {
            None => codec::read(&scope.served, &self.body, form, validation, scope.warnings),
            Some(gvk) => {
                let ty = body_type(gvk)?;
                codec::read_as(&ty, &gvk.api_version(), &gvk.kind, &self.body, form, validation, scope.warnings)
            }
        }
    }
}

/// The type of bodies that are not of the resource's own kind.
fn body_type(gvk: &Gvk) -> Result<Type> {
    Type::of_kind(gvk).ok_or_else(|| Error::internal(format!("the type of {}/{} is not known", gvk.version, gvk.kind)))
}

/// Namespaced objects are below a namespace, others are not.
fn check_place(served: &Served, target: &Target, verb: Verb) -> Result<()> {
    if !served.resource.is_namespaced() {
        let own = target.resource == "namespaces" && target.group.is_empty();
        return if target.namespace.is_empty() || own { Ok(()) } else { Err(Error::no_such_path()) };
    }
    match (target.namespace.is_empty(), verb) {
        (false, _) | (true, Verb::List | Verb::Watch) => Ok(()),
        (true, Verb::Create | Verb::DeleteCollection) => Err(Error::method_not_allowed()),
        (true, _) => Err(Error::no_such_path()),
    }
}

fn subresource_kind(served: &Served, target: &Target) -> Result<Option<SubresourceKind>> {
    if target.subresource.is_empty() {
        return Ok(None);
    }
    let found = served.resource.subresource(&target.subresource).ok_or_else(Error::no_such_path)?;
    Ok(Some(found.kind.clone()))
}

fn check_verb(served: &Served, target: &Target, verb: Verb) -> Result<()> {
    let wanted = match verb {
        Verb::Get => schema::Verb::Get,
        Verb::List => schema::Verb::List,
        Verb::Watch => schema::Verb::Watch,
        Verb::Create => schema::Verb::Create,
        Verb::Update => schema::Verb::Update,
        Verb::Patch => schema::Verb::Patch,
        Verb::Delete => schema::Verb::Delete,
        Verb::DeleteCollection => schema::Verb::DeleteCollection,
        _ => return Err(Error::method_not_allowed()),
    };
    let offered = match served.resource.subresource(&target.subresource) {
        Some(subresource) => subresource.verbs,
        None => served.resource.verbs,
    };
    if offered.contains(wanted) { Ok(()) } else { Err(Error::method_not_allowed()) }
}

/// The path exists upstream, but nothing here serves it.
fn unserved(ask: &Ask<'_>) -> Error {
    let target = ask.scope.target;
    let text = format!("{}/{} is not served by this server", target.resource, target.subresource);
    Error::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", text)
        .about(About { group: &target.group, resource: &target.resource }, &target.name)
}
