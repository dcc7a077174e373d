//! The documents of OpenAPI v3.

use serde_json::{Map, Value, json};

use super::route::{Body, Operation, Parameter, Route, UNAUTHORIZED};
use super::texts::Texts;
use super::types::{self, Dialect, Writer};
use crate::table::Snapshot;

pub(super) fn document(snapshot: &Snapshot, routes: Vec<Route>, texts: &Texts) -> Value {
    let writer = Writer { dialect: Dialect::V3, snapshot, texts };
    let wanted = types::wanted(&routes);
    let schemas: Map<_, _> = wanted.iter().map(|(name, wanted)| (name.clone(), writer.schema(name, wanted))).collect();
    let paths: Map<_, _> = routes.iter().map(|route| (route.path.clone(), path(&writer, route))).collect();
    json!({
        "components": {
            "schemas": schemas,
            "securitySchemes": {"BearerToken": super::v2::security()},
        },
        "info": super::v2::info(),
        "openapi": "3.0.0",
        "paths": paths,
    })
}

fn path(writer: &Writer<'_>, route: &Route) -> Value {
    let common = route.common();
    let mut item: Map<_, _> = route
        .operations
        .iter()
        .map(|operation| (operation.method.to_owned(), self::operation(writer, operation, &common)))
        .collect();
    if !common.is_empty() {
        item.insert("parameters".into(), common.into_iter().map(parameter).collect());
    }
    Value::Object(item)
}

fn operation(writer: &Writer<'_>, operation: &Operation, common: &[&Parameter]) -> Value {
    let mut value = super::v2::about(operation);
    let own: Vec<Value> = operation.parameters.iter().filter(|p| !common.contains(p)).map(parameter).collect();
    if !own.is_empty() {
        value.insert("parameters".into(), own.into());
    }
    if let Some(body) = &operation.body {
        value.insert("requestBody".into(), request(writer, operation, body));
    }
    let answer = content(&operation.produces, &subject(writer, &operation.answer));
    let mut responses: Map<_, _> = operation
        .codes
        .iter()
        .map(|(code, text)| ((*code).to_owned(), json!({"content": answer, "description": text})))
        .collect();
    responses.insert(UNAUTHORIZED.0.into(), json!({"description": UNAUTHORIZED.1}));
    value.insert("responses".into(), responses.into());
    super::v2::extensions(&mut value, operation);
    Value::Object(value)
}

fn request(writer: &Writer<'_>, operation: &Operation, body: &Body) -> Value {
    let content = content(&operation.consumes, &subject(writer, &body.subject));
    if body.required { json!({"content": content, "required": true}) } else { json!({"content": content}) }
}

fn subject(writer: &Writer<'_>, subject: &super::route::Subject) -> Value {
    types::name_of(subject).map_or_else(|| json!({"type": "string"}), |name| writer.reference(&name))
}

fn content(media: &[&str], schema: &Value) -> Value {
    media.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect::<Map<_, _>>().into()
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = json!({"type": parameter.ty, "uniqueItems": true});
    let mut value = super::v2::placed(parameter);
    value.insert("schema".into(), schema);
    Value::Object(value)
}
