//! Which form an answer takes: the `Accept` header against what can be served.

use http::{HeaderMap, HeaderValue, header};
use schema::columns::IncludeObject;

use crate::error::{Error, Result};
use crate::registry::{Form, Show};

const META_GROUP: &str = "meta.k8s.io";
const DISCOVERY_GROUP: &str = "apidiscovery.k8s.io";
/// Clauses of an `Accept` header that are looked at.
const CLAUSES: usize = 32;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// What a caller of `/api` or `/apis` wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    Legacy(Media),
    Aggregated(Media),
}

impl Media {
    /// In the order in which they are offered to callers that do not care.
    const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Protobuf];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// The type of a stream of events.
    pub(crate) fn stream_header(self) -> HeaderValue {
        match self {
            Self::Protobuf => HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch"),
            media => media.header(),
        }
    }

    /// YAML cannot be cut into events.
    fn streams(self) -> bool {
        self != Self::Yaml
    }
}

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

    /// What the clause lets an answer be written in, the most wanted first.
    fn offers(&self) -> impl Iterator<Item = Media> {
        let stream = self.parameter("stream");
        let fits = move |media: &Media| {
            let named = matches!(self.media, "application/*" | "*/*" | "") || self.media == media.as_str();
            named && (stream.is_empty() || (stream == "watch" && media.streams()))
        };
        Media::ALL.into_iter().filter(fits)
    }

    /// The group, version and kind into which the answer is to be turned, if any.
    fn conversion(&self) -> Option<[&'a str; 3]> {
        let conversion = ["g", "v", "as"].map(|name| self.parameter(name));
        conversion.iter().any(|part| !part.is_empty()).then_some(conversion)
    }
}

/// The clauses, the most wanted first; those of equal weight stay in order.
fn clauses<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> Vec<Clause<'a>> {
    let texts = headers.filter_map(|value| value.to_str().ok());
    let mut clauses: Vec<Clause<'_>> =
        texts.flat_map(|text| text.split(',')).take(CLAUSES).map(Clause::parse).collect();
    clauses.retain(|clause| clause.quality > 0.0);
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    if clauses.is_empty() {
        clauses.push(Clause::parse("*/*"));
    }
    clauses
}

fn accepted(headers: &HeaderMap) -> Vec<Clause<'_>> {
    clauses(headers.get_all(header::ACCEPT).iter())
}

/// The form of objects and lists, or with `watching` of events. `custom` objects have no protobuf, their metadata has.
pub(crate) fn form(headers: &HeaderMap, include: &str, watching: bool, custom: bool) -> Result<Form> {
    let clauses = accepted(headers);
    let mut offers = clauses.iter().flat_map(|clause| clause.offers().map(move |media| (clause, media)));
    let found = offers.find_map(|(clause, media)| Some((media, show(clause, media, custom)?)));
    match found {
        Some((media, show)) if !watching || media.streams() => Ok(Form { media, show: included(show, include)? }),
        _ if watching => {
            let streams = Media::ALL.into_iter().filter(|media| media.streams());
            Err(Error::not_acceptable(streams.map(|media| format!("{};stream=watch", media.as_str()))))
        }
        _ => Err(not_acceptable()),
    }
}

fn not_acceptable() -> Error {
    Error::not_acceptable(Media::ALL.map(Media::as_str))
}

/// What a clause wants to see in a media type; none where that cannot be served.
fn show(clause: &Clause<'_>, media: Media, custom: bool) -> Option<Show> {
    let Some([group, version, kind]) = clause.conversion() else {
        return (!custom || media != Media::Protobuf).then_some(Show::Object);
    };
    let known = group == META_GROUP && matches!(version, "v1" | "v1beta1");
    match kind {
        "Table" if known && media != Media::Protobuf => Some(Show::Table(IncludeObject::default())),
        "PartialObjectMetadata" if known => Some(Show::Partial),
        "PartialObjectMetadataList" if known => Some(Show::PartialList),
        _ => None,
    }
}

fn included(show: Show, text: &str) -> Result<Show> {
    let Show::Table(_) = show else { return Ok(show) };
    let wanted = IncludeObject::parse(text).ok_or_else(|| {
        let path = object::field::Path::new("includeObject");
        let error = object::field::Error::not_supported(&path, text, &["Metadata", "None", "Object"]);
        Error::invalid(META_GROUP, "TableOptions", "", &error.into())
    })?;
    Ok(Show::Table(wanted))
}

/// How a failure is written: JSON for those who accept nothing that there is.
pub(crate) fn of_failure(accept: Option<&HeaderValue>) -> Media {
    plain(&clauses(accept.into_iter())).unwrap_or(Media::Json)
}

/// How a document that is no object is written.
pub(crate) fn document(headers: &HeaderMap) -> Result<Media> {
    plain(&accepted(headers)).ok_or_else(not_acceptable)
}

fn plain(clauses: &[Clause<'_>]) -> Option<Media> {
    clauses.iter().filter(|clause| clause.conversion().is_none()).find_map(|clause| clause.offers().next())
}

/// Whether any clause wants the aggregated form of discovery, and how it is written.
pub(crate) fn discovery(headers: &HeaderMap) -> Result<Discovery> {
    let wanted = Some([DISCOVERY_GROUP, "v2", "APIGroupDiscoveryList"]);
    let clauses = accepted(headers);
    let aggregated = clauses.iter().filter(|clause| clause.conversion() == wanted);
    match aggregated.flat_map(Clause::offers).next() {
        Some(media) => Ok(Discovery::Aggregated(media)),
        None => plain(&clauses).map(Discovery::Legacy).ok_or_else(not_acceptable),
    }
}

/// Which form of OpenAPI v2 is wanted, true for protobuf; `None` when neither is acceptable.
pub(crate) fn openapi_v2(headers: &HeaderMap) -> Option<bool> {
    accepted(headers).iter().find_map(|clause| match clause.media {
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        | "application/com.github.proto-openapi.spec.v2.v1.0+protobuf" => Some(true),
        _ => clause.offers().any(|media| media == Media::Json).then_some(false),
    })
}

/// Whether the answer may be a gzip stream.
pub(crate) fn gzip(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .take(CLAUSES)
        .map(Clause::parse)
        .any(|c| c.media == "gzip" && c.quality > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTIAL: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))])
    }

    fn check(accept: &str, watching: bool, custom: bool, expected: Option<(Media, Show)>) {
        let expected = expected.map(|(media, show)| Form { media, show });
        assert_eq!(form(&headers(accept), "", watching, custom).ok(), expected, "{accept}");
    }

    #[test]
    fn the_first_that_can_be_served_wins() {
        let json = Some((Media::Json, Show::Object));
        let protobuf = Some((Media::Protobuf, Show::Object));
        let table = Show::Table(IncludeObject::Metadata);
        for (accept, expected) in [
            ("application/json", json),
            ("*/*", json),
            ("", json),
            ("application/yaml", Some((Media::Yaml, Show::Object))),
            ("application/vnd.kubernetes.protobuf,application/json", protobuf),
            ("application/json,application/vnd.kubernetes.protobuf", json),
            ("application/vnd.kubernetes.protobuf", protobuf),
            ("text/html", None),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some((Media::Json, table))),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io", Some((Media::Yaml, table))),
            ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", json),
            ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", None),
            ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", json),
            (
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
                Some((Media::Json, Show::PartialList)),
            ),
            (PARTIAL, Some((Media::Protobuf, Show::Partial))),
            ("application/json;q=0.1,application/yaml;q=0.9", Some((Media::Yaml, Show::Object))),
            ("application/json;g=meta.k8s.io", None),
        ] {
            check(accept, false, false, expected);
        }
        assert_eq!(form(&HeaderMap::new(), "", false, false).ok(), Some(Form::JSON));
    }

    #[test]
    fn watches_are_streams() {
        check("application/json;stream=watch", true, false, Some((Media::Json, Show::Object)));
        let protobuf = "application/vnd.kubernetes.protobuf;stream=watch,application/vnd.kubernetes.protobuf";
        check(protobuf, true, false, Some((Media::Protobuf, Show::Object)));
        check("application/yaml", true, false, None);
        check("application/yaml;stream=watch,application/json", true, false, Some((Media::Json, Show::Object)));
        let error = form(&headers("application/yaml"), "", true, false).expect_err("no stream");
        assert!(
            error
                .to_string()
                .ends_with("application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch")
        );
    }

    #[test]
    fn custom_objects_have_no_protobuf() {
        check("application/vnd.kubernetes.protobuf", false, true, None);
        check("application/vnd.kubernetes.protobuf,application/json", false, true, Some((Media::Json, Show::Object)));
        check(PARTIAL, false, true, Some((Media::Protobuf, Show::Partial)));
    }

    #[test]
    fn failures_and_documents() {
        for (accept, expected) in [
            ("application/vnd.kubernetes.protobuf,application/json", Some(Media::Protobuf)),
            ("application/yaml", Some(Media::Yaml)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/yaml", Some(Media::Yaml)),
            (PARTIAL, None),
            ("text/html", None),
        ] {
            let value = HeaderValue::from_static(accept);
            assert_eq!(of_failure(Some(&value)), expected.unwrap_or(Media::Json), "{accept}");
            assert_eq!(document(&headers(accept)).ok(), expected, "{accept}");
        }
        assert_eq!(of_failure(None), Media::Json);
    }

    #[test]
    fn gzip_is_asked_for() {
        for (text, expected) in [("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0", false), ("identity", false)] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, text.parse().expect("a header"))]);
            assert_eq!(gzip(&headers), expected, "{text}");
        }
    }

    #[test]
    fn openapi_negotiates() {
        let old = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let new = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
        for (accept, expected) in [
            (old, Some(true)),
            (new, Some(true)),
            ("application/json", Some(false)),
            ("application/json, */*", Some(false)),
            ("text/html", None),
        ] {
            assert_eq!(openapi_v2(&headers(accept)), expected, "{accept}");
        }
    }

    #[test]
    fn discovery_negotiates() {
        let json = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let protobuf = "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        for (accept, expected) in [
            (format!("{json},application/json"), Some(Discovery::Aggregated(Media::Json))),
            (format!("application/json,{json}"), Some(Discovery::Aggregated(Media::Json))),
            (format!("{protobuf},{json}"), Some(Discovery::Aggregated(Media::Protobuf))),
            ("application/json".to_owned(), Some(Discovery::Legacy(Media::Json))),
            ("application/vnd.kubernetes.protobuf".to_owned(), Some(Discovery::Legacy(Media::Protobuf))),
            (json.replace("v2", "v9"), None),
        ] {
            assert_eq!(discovery(&headers(&accept)).ok(), expected, "{accept}");
        }
    }
}
