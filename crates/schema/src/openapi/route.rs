//! The model of what may be asked: paths, operations, parameters. Both versions of OpenAPI are renderings of it.

use std::borrow::Cow;

use object::Gvk;

use crate::facts::Type;
use crate::resource::Served;

/// A path and what may be asked there.
pub(super) struct Route {
    pub(super) path: String,
    pub(super) operations: Vec<Operation>,
}

/// One HTTP method of a path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) id: String,
    /// Empty when there is nothing to say.
    pub(super) text: String,
    pub(super) tag: String,
    /// `x-kubernetes-action`.
    pub(super) action: Option<&'static str>,
    pub(super) kind: Option<Gvk>,
    /// In the path and the query; in order of name and place.
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) consumes: Vec<&'static str>,
    pub(super) produces: Vec<&'static str>,
    /// Codes of success.
    pub(super) codes: &'static [Code],
    pub(super) answer: Subject,
}

/// A status code and its words.
pub(super) type Code = (&'static str, &'static str);

pub(super) const OK: Code = ("200", "OK");
pub(super) const CREATED: Code = ("201", "Created");
pub(super) const ACCEPTED: Code = ("202", "Accepted");
pub(super) const UNAUTHORIZED: Code = ("401", "Unauthorized");

/// What a request carries.
pub(super) struct Body {
    pub(super) subject: Subject,
    pub(super) required: bool,
}

/// What a body is.
#[derive(Clone)]
pub(super) enum Subject {
    /// Text, or a stream.
    Text,
    Type(Type),
    /// A type that is no object with fields: a patch, the version.
    Leaf(&'static str),
    /// An object of a type that was registered at run time.
    Custom(Served),
    CustomList(Served),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Path,
    Query,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// JSON type.
    pub(super) ty: &'static str,
    pub(super) text: Cow<'static, str>,
}

impl Place {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

impl Route {
    /// The parameters that all operations have. They are said once, for the path.
    pub(super) fn common(&self) -> Vec<&Parameter> {
        let Some((first, others)) = self.operations.split_first() else { return Vec::new() };
        let shared = |p: &&Parameter| others.iter().all(|other| other.parameters.contains(*p));
        first.parameters.iter().filter(shared).collect()
    }
}

/// The first letter in upper case.
pub(super) fn camel(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// A group in operation ids: `Core`, `Apps`, `RbacAuthorization`, `StableExampleCom`.
pub(super) fn group_word(group: &str) -> String {
    let word: String = group.trim_end_matches(".k8s.io").split('.').map(camel).collect();
    if word.is_empty() { "Core".to_owned() } else { word }
}

/// A group as a tag: `core`, `rbacAuthorization`.
pub(super) fn group_tag(group: &str) -> String {
    let word = group_word(group);
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}
