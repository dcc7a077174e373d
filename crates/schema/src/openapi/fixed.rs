//! The paths beside resources: discovery, version, keys of service accounts.

use super::route::{OK, Operation, Route, Subject, group_tag, group_word};
use super::types::VERSION;
use crate::facts::Type;

const OBJECT: &[&str] = &["application/json", "application/yaml"];
const JSON: &[&str] = &["application/json"];

/// A path whose document has its name.
struct Fixed {
    name: &'static str,
    id: &'static str,
    text: &'static str,
    tag: &'static str,
    consumes: &'static [&'static str],
    produces: &'static [&'static str],
    answer: &'static str,
}

const FIXED: &[Fixed] = &[
    Fixed {
        name: ".well-known/openid-configuration",
        id: "getServiceAccountIssuerOpenIDConfiguration",
        text: "where tokens of service accounts come from, for who verifies them",
        tag: "WellKnown",
        consumes: &[],
        produces: JSON,
        answer: "",
    },
    Fixed {
        name: "api",
        id: "getCoreAPIVersions",
        text: "get available API versions",
        tag: "core",
        consumes: OBJECT,
        produces: OBJECT,
        answer: "meta.v1.APIVersions",
    },
    Fixed {
        name: "apis",
        id: "getAPIVersions",
        text: "get available API versions",
        tag: "apis",
        consumes: OBJECT,
        produces: OBJECT,
        answer: "meta.v1.APIGroupList",
    },
    Fixed {
        name: "openid/v1/jwks",
        id: "getServiceAccountIssuerOpenIDKeyset",
        text: "the keys that verify tokens of service accounts",
        tag: "openid",
        consumes: &[],
        produces: &["application/jwk-set+json"],
        answer: "",
    },
    Fixed {
        name: "version",
        id: "getCodeVersion",
        text: "get the version information for this server",
        tag: "version",
        consumes: JSON,
        produces: JSON,
        answer: VERSION,
    },
];

/// The names of the documents here.
pub(super) const NAMES: [&str; 5] = {
    let mut names = [""; 5];
    let mut i = 0;
    while i < FIXED.len() {
        names[i] = FIXED[i].name;
        i += 1;
    }
    names
};

pub(super) fn named(name: &str) -> Option<Route> {
    let fixed = FIXED.iter().find(|fixed| fixed.name == name)?;
    let mut route = get(name, fixed.id.to_owned(), fixed.text, fixed.tag.to_owned(), subject(fixed.answer));
    route.operations[0].consumes = fixed.consumes.to_vec();
    route.operations[0].produces = fixed.produces.to_vec();
    Some(route)
}

/// `/apis/<group>/`.
pub(super) fn group(group: &str) -> Route {
    let id = format!("get{}APIGroup", group_word(group));
    let answer = subject("meta.v1.APIGroup");
    get(&format!("apis/{group}"), id, "get information of a group", group_tag(group), answer)
}

/// `/apis/<group>/<version>/`.
pub(super) fn resources(group: &str, version: &str) -> Route {
    let id = format!("get{}{}APIResources", group_word(group), super::route::camel(version));
    let tag = format!("{}_{version}", group_tag(group));
    get(&super::path(group, version), id, "get available resources", tag, subject("meta.v1.APIResourceList"))
}

fn subject(name: &'static str) -> Subject {
    match name {
        "" => Subject::Text,
        VERSION => Subject::Leaf(VERSION),
        _ => Type::builtin(name).map_or(Subject::Text, Subject::Type),
    }
}

fn get(name: &str, id: String, text: &str, tag: String, answer: Subject) -> Route {
    let operation = Operation {
        method: "get",
        id,
        text: text.to_owned(),
        tag,
        action: None,
        kind: None,
        parameters: Vec::new(),
        body: None,
        consumes: OBJECT.to_vec(),
        produces: OBJECT.to_vec(),
        codes: &[OK],
        answer,
    };
    Route { path: format!("/{name}/"), operations: vec![operation] }
}
