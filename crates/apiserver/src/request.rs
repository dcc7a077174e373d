//! What a request asks for, read from its method, path and query: upstream's `RequestInfo`.

use std::fmt;

use http::{Method, Uri};

/// A request line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    pub verb: Verb,
    /// The path as sent, percent-encoding included.
    pub path: String,
    /// `None` for paths that name no resource: `/healthz`, `/api`, `/apis/apps/v1`.
    pub target: Option<Target>,
}

/// The resource, object or subresource that a path names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// Empty for cluster-scoped objects and for requests over all namespaces. The namespace itself for `namespaces/<name>`.
    pub namespace: String,
    pub resource: String,
    /// Empty when the object itself is meant.
    pub subresource: String,
    /// Empty for collections. For list and watch, the name that the field selector demands.
    pub name: String,
    /// What follows the subresource, with its leading slash: the path of a proxied request. Empty when nothing follows.
    pub rest: String,
    pub field_selector: String,
    pub label_selector: String,
}

/// What a request does, in the words that authorization, audit and metrics use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// The verbs of paths that name no resource, and of proxied requests.
    Head,
    Post,
    Put,
    Options,
    Other,
}

/// A path or query that cannot be understood; the text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(pub String);

impl Verb {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Head => "head",
            Self::Post => "post",
            Self::Put => "put",
            Self::Options => "options",
            Self::Other => "",
        }
    }

    #[must_use]
    pub fn is_mutating(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch | Self::Head | Self::Options)
    }

    fn of_resource(method: &Method) -> Self {
        match *method {
            Method::POST => Self::Create,
            Method::GET | Method::HEAD => Self::Get,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }

    fn of_path(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RequestInfo {
    /// # Errors
    /// When the path has an encoding that is not UTF-8, or a legacy `/watch/` prefix with nothing behind it.
    pub fn parse(method: &Method, uri: &Uri) -> Result<Self, RequestError> {
        let path = uri.path().to_owned();
        let target = parse_target(method, uri)?;
        Ok(match target {
            Some((verb, target)) => Self { verb, path, target: Some(target) },
            None => Self { verb: Verb::of_path(method), path, target: None },
        })
    }

    /// Whether the request may last: watches, logs followed, and everything that is upgraded or proxied.
    #[must_use]
    pub fn is_long_running(&self) -> bool {
        let Some(target) = &self.target else { return false };
        self.verb == Verb::Watch
            || matches!(target.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy")
    }
}

/// A parameter of a query, decoded.
#[must_use]
pub fn query(uri: &Uri) -> Vec<(String, String)> {
    uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(decode_pair).collect()
}

fn decode_pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decode_query(name), decode_query(value))
}

fn decode_query(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode(&text.replace('+', " "))).into_owned()
}

/// Paths have few parts; more are a proxied path, whose parts are not looked at.
fn parse_target(method: &Method, uri: &Uri) -> Result<Option<(Verb, Target)>, RequestError> {
    let path = uri.path().trim_start_matches('/');
    let mut parts: Vec<&str> = path.split('/').collect();
    while parts.last() == Some(&"") {
        parts.pop();
    }
    let (group, mut parts) = match parts.as_slice() {
        ["api", rest @ ..] if rest.len() >= 2 => ("", rest),
        ["apis", group, rest @ ..] if rest.len() >= 2 => (*group, rest),
        _ => return Ok(None),
    };
    let version = parts[0];
    parts = &parts[1..];
    let mut verb = Verb::of_resource(method);
    let mut legacy = false;
    if matches!(parts[0], "watch" | "proxy") {
        if parts.len() < 2 {
            return Err(RequestError(format!("unable to determine kind and namespace from url, {}", uri.path())));
        }
        verb = if parts[0] == "watch" { Verb::Watch } else { Verb::Other };
        legacy = true;
        parts = &parts[1..];
    }
    let mut namespace = "";
    if let ["namespaces", name, rest @ ..] = parts {
        namespace = name;
        if !matches!(rest, [] | ["status" | "finalize", ..]) {
            parts = rest;
        }
    }
    let part = |index: usize| parts.get(index).map_or(Ok(String::new()), |text| decode_path(text));
    let mut target = Target {
        group: decode_path(group)?,
        version: decode_path(version)?,
        namespace: decode_path(namespace)?,
        resource: part(0)?,
        name: part(1)?,
        subresource: if legacy { String::new() } else { part(2)? },
        rest: rest_of(uri.path(), path, parts),
        ..Target::default()
    };
    verb = refine(verb, &mut target, uri);
    Ok(Some((verb, target)))
}

/// The end of the raw path after `resource/name/subresource`.
fn rest_of(raw: &str, trimmed: &str, parts: &[&str]) -> String {
    let Some(subresource) = parts.get(2) else { return String::new() };
    let start = subresource.as_ptr() as usize - trimmed.as_ptr() as usize + subresource.len();
    let offset = raw.len() - trimmed.len();
    raw[offset + start..].to_owned()
}

/// Collections: get becomes list or watch, delete becomes deletecollection, and selectors count.
fn refine(verb: Verb, target: &mut Target, uri: &Uri) -> Verb {
    if !target.name.is_empty() && verb != Verb::Watch {
        return verb;
    }
    let query = query(uri);
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let verb = match verb {
        Verb::Get if is_true(value("watch")) => Verb::Watch,
        Verb::Get => Verb::List,
        Verb::Delete => Verb::DeleteCollection,
        other => other,
    };
    if matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection) {
        target.field_selector = value("fieldSelector").to_owned();
        target.label_selector = value("labelSelector").to_owned();
    }
    if matches!(verb, Verb::List | Verb::Watch) && target.name.is_empty() {
        target.name = selected_name(&target.field_selector).unwrap_or_default();
    }
    verb
}

/// Upstream's reading of a boolean in a query: present means true unless it says otherwise.
fn is_true(value: &str) -> bool {
    !matches!(value, "" | "0" | "false" | "False" | "FALSE" | "f" | "F")
}

fn selected_name(selector: &str) -> Option<String> {
    let term = selector.split(',').find_map(|term| term.trim().strip_prefix("metadata.name="))?;
    let name = term.trim_start_matches('=').trim();
    let fits = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%']);
    fits.then(|| name.to_owned())
}

fn decode_path(text: &str) -> Result<String, RequestError> {
    String::from_utf8(percent_decode(text)).map_err(|_| RequestError(format!("the path part {text:?} is not UTF-8")))
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
