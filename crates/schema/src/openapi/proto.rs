//! The protobuf form of OpenAPI v2: gnostic's `openapi.v2.Document`, by a table of its messages.

use serde_json::{Map, Value};

use super::v2::Document;

/// What a JSON member becomes.
enum Form {
    Text,
    Flag,
    Texts,
    Message(&'static Message),
    Messages(&'static Message),
    /// A JSON object as a message of name and value pairs; the values stand within further messages.
    Named(&'static [u32], &'static Message),
    /// Alone in a message, as its first field.
    Within(&'static Self),
    Parameters,
}

/// A message: members by name and number; where extensions go.
struct Message {
    fields: &'static [(&'static str, u32, Form)],
    extensions: u32,
}

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Form::Text),
        ("format", 2, Form::Text),
        ("description", 4, Form::Text),
        ("required", 19, Form::Texts),
        ("additionalProperties", 21, Form::Within(&Form::Message(&SCHEMA))),
        ("type", 22, Form::Within(&Form::Text)),
        ("items", 23, Form::Within(&Form::Message(&SCHEMA))),
        ("allOf", 24, Form::Messages(&SCHEMA)),
        ("properties", 25, Form::Named(&[], &SCHEMA)),
    ],
    extensions: 31,
};
static BODY: Message = Message {
    fields: &[
        ("description", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("required", 4, Form::Flag),
        ("schema", 5, Form::Message(&SCHEMA)),
    ],
    extensions: 6,
};
static QUERY: Message = Message {
    fields: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 6, Form::Text),
        ("uniqueItems", 20, Form::Flag),
    ],
    extensions: 23,
};
static PATH: Message = Message {
    fields: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 5, Form::Text),
        ("uniqueItems", 19, Form::Flag),
    ],
    extensions: 22,
};
static REFERENCE: Message = Message { fields: &[("$ref", 1, Form::Text)], extensions: 0 };
static RESPONSE: Message = Message {
    fields: &[("description", 1, Form::Text), ("schema", 2, Form::Within(&Form::Message(&SCHEMA)))],
    extensions: 5,
};
static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Form::Texts),
        ("description", 3, Form::Text),
        ("operationId", 5, Form::Text),
        ("produces", 6, Form::Texts),
        ("consumes", 7, Form::Texts),
        ("parameters", 8, Form::Parameters),
        ("responses", 9, Form::Named(&[1], &RESPONSE)),
        ("schemes", 10, Form::Texts),
    ],
    extensions: 13,
};
static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Form::Message(&OPERATION)),
        ("put", 3, Form::Message(&OPERATION)),
        ("post", 4, Form::Message(&OPERATION)),
        ("delete", 5, Form::Message(&OPERATION)),
        ("options", 6, Form::Message(&OPERATION)),
        ("head", 7, Form::Message(&OPERATION)),
        ("patch", 8, Form::Message(&OPERATION)),
        ("parameters", 9, Form::Parameters),
    ],
    extensions: 10,
};
static KEY: Message = Message {
    fields: &[("type", 1, Form::Text), ("name", 2, Form::Text), ("in", 3, Form::Text), ("description", 4, Form::Text)],
    extensions: 5,
};
static INFO: Message = Message { fields: &[("title", 1, Form::Text), ("version", 2, Form::Text)], extensions: 7 };

pub(super) fn encode(document: &Document<'_>) -> Vec<u8> {
    let key = within(&[2], members(&KEY, &super::v2::security()));
    let mut out = Vec::new();
    text(&mut out, 1, "2.0");
    message(&mut out, 2, &INFO, &super::v2::info());
    pairs(&mut out, 8, 2, document.paths().map(|(name, value)| (name, members(&PATH_ITEM, &value))));
    pairs(&mut out, 9, 1, document.definitions().map(|(name, value)| (name, members(&SCHEMA, &value))));
    pairs(&mut out, 10, 1, document.parameters().map(|(name, value)| (name, parameter(&value))));
    pairs(&mut out, 12, 1, [("BearerToken", Vec::new())].into_iter());
    pairs(&mut out, 13, 1, [("BearerToken", key)].into_iter());
    out
}

/// A message of name and value pairs, each in the field `inner`; the values are made one by one.
fn pairs<'a>(out: &mut Vec<u8>, number: u32, inner: u32, entries: impl Iterator<Item = (&'a str, Vec<u8>)>) {
    let mut all = Vec::new();
    for (name, value) in entries {
        let mut pair = Vec::new();
        text(&mut pair, 1, name);
        bytes(&mut pair, 2, &value);
        bytes(&mut all, inner, &pair);
    }
    bytes(out, number, &all);
}

/// Puts a message into others, the outermost first.
fn within(numbers: &[u32], content: Vec<u8>) -> Vec<u8> {
    numbers.iter().rev().fold(content, |content, number| {
        let mut outer = Vec::new();
        bytes(&mut outer, *number, &content);
        outer
    })
}

fn message(out: &mut Vec<u8>, number: u32, form: &Message, value: &Value) {
    bytes(out, number, &members(form, value));
}

fn members(form: &Message, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(object) = value.as_object() else { return out };
    for (name, number, form) in form.fields {
        if let Some(value) = object.get(*name) {
            member(&mut out, *number, form, value);
        }
    }
    extensions(&mut out, form.extensions, object);
    out
}

fn member(out: &mut Vec<u8>, number: u32, form: &Form, value: &Value) {
    match form {
        Form::Text => text(out, number, value.as_str().unwrap_or_default()),
        Form::Flag => flag(out, number, value == true),
        Form::Texts => items(value).for_each(|item| text(out, number, item.as_str().unwrap_or_default())),
        Form::Message(form) => message(out, number, form, value),
        Form::Messages(form) => items(value).for_each(|item| message(out, number, form, item)),
        Form::Named(numbers, form) => {
            let entries = value.as_object().into_iter().flatten();
            pairs(out, number, 1, entries.map(|(name, value)| (name.as_str(), within(numbers, members(form, value)))));
        }
        Form::Within(form) => {
            let mut inner = Vec::new();
            member(&mut inner, 1, form, value);
            bytes(out, number, &inner);
        }
        Form::Parameters => items(value).for_each(|item| bytes(out, number, &parameters_item(item))),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A `ParametersItem`: a parameter, or a reference to one.
fn parameters_item(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value.get("$ref") {
        Some(_) => message(&mut out, 2, &REFERENCE, value),
        None => bytes(&mut out, 1, &parameter(value)),
    }
    out
}

/// A `Parameter`: a body, or one that is none, of one of several places.
fn parameter(value: &Value) -> Vec<u8> {
    let (mut out, mut other) = (Vec::new(), Vec::new());
    match value["in"].as_str() {
        Some("body") => message(&mut out, 1, &BODY, value),
        Some("path") => message(&mut other, 4, &PATH, value),
        _ => message(&mut other, 3, &QUERY, value),
    }
    if !other.is_empty() {
        bytes(&mut out, 2, &other);
    }
    out
}

/// Extensions are YAML; JSON is.
fn extensions(out: &mut Vec<u8>, number: u32, object: &Map<String, Value>) {
    for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
        let (mut yaml, mut pair) = (Vec::new(), Vec::new());
        text(&mut yaml, 2, &format!("{value}\n"));
        text(&mut pair, 1, name);
        bytes(&mut pair, 2, &yaml);
        bytes(out, number, &pair);
    }
}

fn text(out: &mut Vec<u8>, number: u32, value: &str) {
    bytes(out, number, value.as_bytes());
}

fn flag(out: &mut Vec<u8>, number: u32, value: bool) {
    if value {
        varint(out, u64::from(number) << 3);
        out.push(1);
    }
}

fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
