//! Which form an answer takes: the `Accept` header against what can be served.

use http::{HeaderMap, header};
use schema::columns::IncludeObject;

use crate::error::{Error, Result};
use crate::registry::Form;

const ACCEPTED: [&str; 2] = ["application/json", "application/yaml"];
const META_GROUP: &str = "meta.k8s.io";
/// Clauses of an `Accept` header that are looked at.
const CLAUSES: usize = 32;

/// One clause of an `Accept` header.
#[derive(Debug, Clone, PartialEq)]
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let mut clause = Self { media, parameters: Vec::new(), quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => clause.quality = value.trim().parse().unwrap_or(0.0),
                name => clause.parameters.push((name, value.trim().trim_matches('"'))),
            }
        }
        clause
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    fn is_json(&self) -> bool {
        matches!(self.media, "application/json" | "application/*" | "*/*" | "")
    }
}

/// The clauses, the most wanted first; those of equal weight stay in order.
fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut clauses: Vec<Clause<'_>> =
        texts.flat_map(|text| text.split(',')).take(CLAUSES).map(Clause::parse).collect();
    clauses.retain(|clause| clause.quality > 0.0);
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    if clauses.is_empty() {
        clauses.push(Clause::parse("*/*"));
    }
    clauses
}

/// The form of objects and lists, or with `watching` of events.
pub(crate) fn form(headers: &HeaderMap, include: &str, watching: bool) -> Result<Form> {
    clauses(headers)
        .iter()
        .find_map(|clause| offered(clause, include, watching))
        .unwrap_or_else(|| Err(Error::not_acceptable(if watching { &ACCEPTED[..1] } else { &ACCEPTED })))
}

fn offered(clause: &Clause<'_>, include: &str, watching: bool) -> Option<Result<Form>> {
    if !clause.is_json() {
        let plain_yaml = clause.media == "application/yaml" && clause.parameter("as").is_empty();
        return (plain_yaml && !watching).then_some(Ok(Form::Yaml));
    }
    let known = clause.parameter("g") == META_GROUP && matches!(clause.parameter("v"), "v1" | "v1beta1");
    match clause.parameter("as") {
        "" => Some(Ok(Form::Json)),
        "Table" if known => Some(included(include)),
        "PartialObjectMetadata" | "PartialObjectMetadataList" if known => Some(Ok(Form::Partial)),
        _ => None,
    }
}

fn included(text: &str) -> Result<Form> {
    let wanted = IncludeObject::parse(text).ok_or_else(|| {
        let path = object::field::Path::new("includeObject");
        let error = object::field::Error::not_supported(&path, text, &["Metadata", "None", "Object"]);
        Error::invalid(META_GROUP, "TableOptions", "", &error.into())
    })?;
    Ok(Form::Table(wanted))
}

/// Whether the aggregated form of discovery is wanted; `None` when neither form is acceptable.
pub(crate) fn aggregated(headers: &HeaderMap) -> Option<bool> {
    clauses(headers).iter().find_map(|clause| match (clause.is_json(), clause.parameter("as")) {
        (true, "") => Some(false),
        (true, "APIGroupDiscoveryList") => {
            let known = clause.parameter("g") == "apidiscovery.k8s.io" && clause.parameter("v") == "v2";
            known.then_some(true)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))])
    }

    fn check(accept: &str, watching: bool, expected: Option<Form>) {
        assert_eq!(form(&headers(accept), "", watching).ok(), expected, "{accept}");
    }

    #[test]
    fn the_first_that_can_be_served_wins() {
        let table = Some(Form::Table(IncludeObject::Metadata));
        check("application/json", false, Some(Form::Json));
        check("*/*", false, Some(Form::Json));
        check("application/yaml", false, Some(Form::Yaml));
        check("application/yaml", true, None);
        check("application/vnd.kubernetes.protobuf,application/json", false, Some(Form::Json));
        check("application/vnd.kubernetes.protobuf", false, None);
        check("text/html", false, None);
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", false, table);
        check("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", false, Some(Form::Json));
        check("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", false, Some(Form::Partial));
        check("application/json;q=0.1,application/yaml;q=0.9", false, Some(Form::Yaml));
        check("application/json;stream=watch", true, Some(Form::Json));
        assert_eq!(form(&HeaderMap::new(), "", false).ok(), Some(Form::Json));
    }

    #[test]
    fn discovery_negotiates() {
        let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(aggregated(&headers(new)), Some(true));
        assert_eq!(aggregated(&headers("application/json")), Some(false));
        assert_eq!(aggregated(&headers("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList")), None);
    }
}
