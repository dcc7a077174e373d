//! The document of OpenAPI v2. Its parts are made while they are written.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::route::{Operation, Parameter, Place, Route, Subject, UNAUTHORIZED};
use super::texts::Texts;
use super::types::{self, Dialect, Wanted, Writer};
use crate::table::Snapshot;

/// Everything that the document is made of.
pub(super) struct Document<'a> {
    writer: Writer<'a>,
    routes: Vec<Route>,
    wanted: BTreeMap<String, Wanted>,
    /// Parameters that several paths have, by the name under which they are kept.
    shared: BTreeMap<String, Parameter>,
}

impl<'a> Document<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, routes: Vec<Route>, texts: &'a Texts) -> Self {
        let writer = Writer { dialect: Dialect::V2, snapshot, texts };
        let wanted = types::wanted(&routes);
        let parameters = routes.iter().flat_map(|route| &route.operations).flat_map(|o| &o.parameters);
        let shared = parameters.filter(|p| is_shared(p)).map(|p| (key(p), p.clone())).collect();
        Self { writer, routes, wanted, shared }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, Value)> {
        self.routes.iter().map(|route| (route.path.as_str(), self.path(route)))
    }

    pub(super) fn definitions(&self) -> impl Iterator<Item = (&str, Value)> {
        self.wanted.iter().map(|(name, wanted)| (name.as_str(), self.writer.schema(name, wanted)))
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, Value)> {
        self.shared.iter().map(|(name, shared)| (name.as_str(), parameter(shared)))
    }

    fn path(&self, route: &Route) -> Value {
        let common = route.common();
        let mut item: Map<_, _> = route
            .operations
            .iter()
            .map(|operation| (operation.method.to_owned(), self.operation(operation, &common)))
            .collect();
        if !common.is_empty() {
            item.insert("parameters".into(), common.into_iter().map(placed_or_shared).collect());
        }
        Value::Object(item)
    }

    fn operation(&self, operation: &Operation, common: &[&Parameter]) -> Value {
        let mut value = about(operation);
        for (name, media) in [("consumes", &operation.consumes), ("produces", &operation.produces)] {
            if !media.is_empty() {
                value.insert(name.into(), media.iter().copied().collect());
            }
        }
        let body = operation.body.as_ref().map(|body| self.body(&body.subject, body.required));
        let own = operation.parameters.iter().filter(|p| !common.contains(p)).map(placed_or_shared);
        let parameters: Vec<Value> = body.into_iter().chain(own).collect();
        if !parameters.is_empty() {
            value.insert("parameters".into(), parameters.into());
        }
        let schema = self.subject(&operation.answer);
        let mut responses: Map<_, _> = operation
            .codes
            .iter()
            .map(|(code, text)| ((*code).to_owned(), json!({"description": text, "schema": schema})))
            .collect();
        responses.insert(UNAUTHORIZED.0.into(), json!({"description": UNAUTHORIZED.1}));
        value.insert("responses".into(), responses.into());
        value.insert("schemes".into(), json!(["https"]));
        extensions(&mut value, operation);
        Value::Object(value)
    }

    fn body(&self, subject: &Subject, required: bool) -> Value {
        let schema = self.subject(subject);
        match required {
            true => json!({"in": "body", "name": "body", "required": true, "schema": schema}),
            false => json!({"in": "body", "name": "body", "schema": schema}),
        }
    }

    fn subject(&self, subject: &Subject) -> Value {
        types::name_of(subject).map_or_else(|| json!({"type": "string"}), |name| self.writer.reference(&name))
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Root<D, P, R> {
            definitions: D,
            info: Value,
            parameters: P,
            paths: R,
            security: Value,
            security_definitions: Value,
            swagger: &'static str,
        }
        let root = Root {
            definitions: Lazy(|| self.definitions()),
            info: info(),
            parameters: Lazy(|| self.parameters()),
            paths: Lazy(|| self.paths()),
            security: json!([{"BearerToken": []}]),
            security_definitions: json!({"BearerToken": security()}),
            swagger: "2.0",
        };
        root.serialize(serializer)
    }
}

/// A map whose entries are made one by one.
struct Lazy<F>(F);

impl<'a, F: Fn() -> I, I: Iterator<Item = (&'a str, Value)>> Serialize for Lazy<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map((self.0)())
    }
}

pub(super) fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.0"})
}

pub(super) fn security() -> Value {
    json!({"description": "Bearer Token authentication", "in": "header", "name": "authorization", "type": "apiKey"})
}

/// What both versions say about an operation first.
pub(super) fn about(operation: &Operation) -> Map<String, Value> {
    let mut value = Map::new();
    if !operation.text.is_empty() {
        value.insert("description".into(), operation.text.as_str().into());
    }
    value.insert("operationId".into(), operation.id.as_str().into());
    value.insert("tags".into(), json!([operation.tag]));
    value
}

/// What both versions say about an operation last.
pub(super) fn extensions(value: &mut Map<String, Value>, operation: &Operation) {
    if let Some(action) = operation.action {
        value.insert("x-kubernetes-action".into(), action.into());
    }
    if let Some(gvk) = &operation.kind {
        let kind = json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
        value.insert("x-kubernetes-group-version-kind".into(), kind);
    }
}

/// Where a parameter stands and what it means.
pub(super) fn placed(parameter: &Parameter) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("description".into(), parameter.text.as_ref().into());
    value.insert("in".into(), parameter.place.as_str().into());
    value.insert("name".into(), parameter.name.into());
    if parameter.place == Place::Path {
        value.insert("required".into(), true.into());
    }
    value
}

fn parameter(parameter: &Parameter) -> Value {
    let mut value = placed(parameter);
    value.insert("type".into(), parameter.ty.into());
    value.insert("uniqueItems".into(), true.into());
    Value::Object(value)
}

/// Names differ by kind; everything else is the same wherever it stands.
fn is_shared(parameter: &Parameter) -> bool {
    parameter.name != "name"
}

fn placed_or_shared(shared: &Parameter) -> Value {
    if is_shared(shared) { json!({"$ref": format!("#/parameters/{}", key(shared))}) } else { parameter(shared) }
}

/// The name and a digest, because some names have several meanings.
fn key(parameter: &Parameter) -> String {
    let digest = Sha256::digest(format!("{}\0{}\0{}", parameter.place.as_str(), parameter.ty, parameter.text));
    format!("{}-{}", parameter.name, &URL_SAFE_NO_PAD.encode(digest)[..8])
}
