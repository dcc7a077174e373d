//! `cargo run -p xtask -- facts`: condenses upstream's OpenAPI document and proto files into the schema's facts file.
//!
//! OpenAPI gives types, fields, lists and patch strategies; the proto files give the order of fields and their numbers;
//! `facts/presence.txt`, kept by hand, gives what neither says: which absent fields are printed.

mod presence;
mod proto;
mod swagger;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use thiserror::Error;

use presence::Presence;
use proto::{Message, Protos};

/// Where the reference documents are and where the facts go.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// OpenAPI v2 document; by default beside the repository.
    #[arg(long)]
    swagger: Option<PathBuf>,
    /// Directory of proto files; by default beside the repository.
    #[arg(long)]
    protos: Option<PathBuf>,
    /// The file to write.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Why the facts could not be made.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("parse {}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{0}")]
    Content(String),
}

type Result<T> = std::result::Result<T, Error>;

/// A field of a type in canonical order.
struct Line {
    name: String,
    number: String,
    /// A named slice of Go: a message around a list.
    wrapped: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = repository.join("../shared/data");
    let swagger = options.swagger.clone().unwrap_or_else(|| data.join("swagger-1.36.json"));
    let protos = options.protos.clone().unwrap_or_else(|| data.join("protos/k8s.io"));
    let output = options.output.clone().unwrap_or_else(|| repository.join("crates/schema/src/facts/kubernetes.facts"));
    let text = fs::read(&swagger).map_err(file("read", &swagger))?;
    let document: Value =
        serde_json::from_slice(&text).map_err(|source| Error::Json { path: swagger.clone(), source })?;
    let facts = condense(&document, &Protos::read(&protos)?)?;
    fs::write(&output, facts).map_err(file("write", &output))
}

fn condense(document: &Value, protos: &Protos) -> Result<String> {
    let definitions =
        document["definitions"].as_object().ok_or_else(|| Error::Content("the document has no definitions".into()))?;
    let presence = Presence::parse(include_str!("facts/presence.txt"))?;
    let mut types = BTreeMap::new();
    let none = Map::new();
    for (name, definition) in definitions {
        if let (Some(short), "object") = (swagger::short_name(name), definition["type"].as_str().unwrap_or_default()) {
            let properties = definition["properties"].as_object().unwrap_or(&none);
            types.insert(short, (swagger::proto_name(name), definition, properties));
        }
    }
    let mut out = String::from("# Made by `cargo run -p xtask -- facts`; the form is described in parse.rs.\n");
    let mut used = BTreeSet::new();
    for (short, (proto, definition, properties)) in &types {
        swagger::head(&mut out, short, definition);
        for line in order(properties, protos.message(proto), protos) {
            let property = &properties[&line.name];
            out.push_str(&format!(" {} {} {}", line.name, line.number, swagger::shape(property)));
            if line.wrapped {
                out.push_str(" wrapped");
            }
            swagger::words(&mut out, &line.name, property, definition);
            if let Some(word) = presence.word(short, &line.name) {
                used.insert((short.as_str(), line.name.clone()));
                out.push(' ');
                out.push_str(word);
            }
            out.push('\n');
        }
    }
    presence.check_used(&used)?;
    Ok(out)
}

fn file<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> Error + 'a {
    move |source| Error::File { action, path: path.to_owned(), source }
}

/// All properties: kind and version first, then in the order of the proto message, what it lacks last.
fn order(properties: &Map<String, Value>, message: Option<&Message>, protos: &Protos) -> Vec<Line> {
    let mut lines = Vec::new();
    for name in ["kind", "apiVersion"] {
        if properties.contains_key(name) && message.is_none_or(|m| m.field(name).is_none()) {
            lines.push(Line { name: name.into(), number: "0".into(), wrapped: false });
        }
    }
    if let Some(message) = message {
        append(&mut lines, properties, message, "", protos);
    }
    let known: BTreeSet<&String> = lines.iter().map(|l| &l.name).collect();
    let rest: Vec<String> = properties.keys().filter(|p| !known.contains(p)).cloned().collect();
    lines.extend(rest.into_iter().map(|name| Line { name, number: "0".into(), wrapped: false }));
    lines
}

/// Appends the fields of a message; a field that JSON does not have is a struct that Go inlines.
fn append(lines: &mut Vec<Line>, properties: &Map<String, Value>, message: &Message, outer: &str, protos: &Protos) {
    for field in &message.fields {
        if let Some(name) = swagger::json_name(&field.name, properties) {
            let wrapped = !field.repeated && properties[&name]["type"] == "array";
            lines.push(Line { name, number: format!("{outer}{}", field.number), wrapped });
        } else if outer.len() < 6
            && let Some(inlined) = protos.resolve(message, &field.ty)
        {
            append(lines, properties, inlined, &format!("{outer}{}.", field.number), protos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_facts_are_what_the_documents_say() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let data =
            std::env::var_os("CORACLE_REFERENCE_DATA").map_or_else(|| repository.join("../shared/data"), PathBuf::from);
        let Ok(text) = fs::read(data.join("swagger-1.36.json")) else {
            println!("skipped: no reference documents at {}", data.display());
            return;
        };
        let document = serde_json::from_slice(&text).unwrap();
        let facts = condense(&document, &Protos::read(&data.join("protos/k8s.io")).unwrap()).unwrap();
        let committed = fs::read_to_string(repository.join("crates/schema/src/facts/kubernetes.facts")).unwrap();
        assert!(facts == committed, "run `cargo run -p xtask -- facts`");
    }
}
