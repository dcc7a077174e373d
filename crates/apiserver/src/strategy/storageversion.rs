//! Which versions the API servers of a cluster store and read.

use std::collections::{BTreeMap, BTreeSet};

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::field::{At, required, well_formed};
use super::{Context, Strategy, without_final_dash};

pub(super) struct StorageVersion;

impl Strategy for StorageVersion {
    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        let name = without_final_dash(name, prefix);
        let Some((group, resource)) = name.rsplit_once('.') else {
            return vec!["name must be in the form of <group>.<resource>".to_owned()];
        };
        let group = names::dns1123_subdomain(group).into_iter().map(|why| format!("the group segment {why}"));
        let resource = names::dns1035_label(resource).into_iter().map(|why| format!("the resource segment {why}"));
        group.chain(resource).collect()
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            status(&At::root(object).at("status"), &mut errors);
        }
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn status(at: &At<'_>, errors: &mut ErrorList) {
    let (servers, mut seen) = (at.at("storageVersions"), BTreeSet::new());
    for entry in servers.items() {
        let id = entry.at("apiServerID");
        if !seen.insert(id.text()) {
            errors.push(id.duplicate());
        }
        server(&entry, errors);
    }
    common_version(at, &servers, errors);
    conditions(at, errors);
}

fn server(at: &At<'_>, errors: &mut ErrorList) {
    well_formed(&at.at("apiServerID"), names::dns1123_subdomain, errors);
    let (encoding, decodable) = (at.at("encodingVersion"), at.at("decodableVersions"));
    version(&encoding, errors);
    decodable.items().for_each(|entry| version(&entry, errors));
    if !decodable.texts().any(|version| version == encoding.text()) {
        errors.push(decodable.invalid(format!("decodableVersions must include encodingVersion {}", encoding.text())));
    }
    for served in at.at("servedVersions").items() {
        version(&served, errors);
        if !decodable.texts().any(|version| version == served.text()) {
            let all: Vec<&str> = decodable.texts().collect();
            let detail = format!(
                "individual served version : {} must be included in decodableVersions : [{}]",
                served.text(),
                all.join(" ")
            );
            errors.push(served.invalid(detail));
        }
    }
}

/// A version with or without its group.
fn version(at: &At<'_>, errors: &mut ErrorList) {
    let wrong = api_version(at.text());
    if !wrong.is_empty() {
        errors.push(Error::invalid(&at.path, at.text(), wrong.join(",")));
    }
}

fn api_version(text: &str) -> Vec<String> {
    let (group, version) = text.split_once('/').map_or((None, text), |(group, version)| (Some(group), version));
    if version.contains('/') {
        return vec![
            "an apiVersion is a DNS-1035 label, which must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex \
             used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?') with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyVersion')"
                .to_owned(),
        ];
    }
    let part = |what: &str, text: &str, check: super::field::Check| -> Vec<String> {
        let wrong = if text.is_empty() { vec!["must be non-empty".to_owned()] } else { check(text) };
        wrong.into_iter().map(|why| format!("{what} part: {why}")).collect()
    };
    let group = group.map_or_else(Vec::new, |group| part("group", group, names::dns1123_subdomain));
    group.into_iter().chain(part("version", version, names::dns1035_label)).collect()
}

/// The common version is what all servers agree on, and nothing where they do not.
fn common_version(at: &At<'_>, servers: &At<'_>, errors: &mut ErrorList) {
    let said = at.at("commonEncodingVersion");
    let versions: BTreeSet<&str> = servers.items().map(|server| server.at("encodingVersion").text()).collect();
    let actual = versions.first().filter(|_| versions.len() == 1);
    match (actual, said.is_set()) {
        (None, true) => errors.push(said.invalid(
            "should be nil if servers do not agree on the same encoding version, or if there is no server reporting the \
             supported versions yet",
        )),
        (Some(actual), false) => {
            errors.push(said.invalid(format!("the common encoding version is {actual}")));
        }
        (Some(actual), true) if said.text() != *actual => {
            errors.push(said.invalid(format!("the actual common encoding version is {actual}")));
        }
        _ => {}
    }
}

/// Upstream names conditions as if they were entries of the status.
fn conditions(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeMap::new();
    for (index, condition) in at.at("conditions").items().enumerate() {
        let place = At { value: condition.value, path: at.path.index(index) };
        let kind = place.at("type");
        if let Some(first) = seen.insert(kind.text(), index) {
            let detail = format!("the type of the condition is not unique, it also appears in conditions[{first}]");
            errors.push(kind.invalid(detail));
        }
        well_formed(&kind, names::qualified_name, errors);
        well_formed(&place.at("status"), names::qualified_name, errors);
        required(&place.at("reason"), errors);
        required(&place.at("message"), errors);
    }
}
