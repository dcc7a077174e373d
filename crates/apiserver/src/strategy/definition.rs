//! Custom resource definitions: what a resource type that comes at run time may be.
//!
//! Rules are texts here: whether they compile is not looked at. Nor are patterns.

mod default;
mod form;
mod path;
mod schema;
mod spec;
mod structural;
mod version;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

use super::field::{At, immutable, object_at};
use super::{Context, Strategy, internal, webhook, without_final_dash};

/// What groups of the community say about the approval of their API.
const APPROVED: &str = "api-approved.kubernetes.io";

pub(super) struct CustomResourceDefinition;

impl Strategy for CustomResourceDefinition {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object_at(object, "status").clear();
        keep_stored_versions(object);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, _: &Value) {
        if cx.subresource.is_empty() {
            keep_stored_versions(object);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        whole(object, None)
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            let mut errors = ErrorList::new();
            spec::names(&At::root(object).at("status").at("acceptedNames"), &mut errors);
            return errors;
        }
        whole(object, Some(old))
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        if cx.subresource == "status" {
            return Vec::new();
        }
        let before = old.map(schema::unknown_formats).unwrap_or_default();
        let formats = schema::unknown_formats(object).into_iter().filter(|format| !before.contains(format));
        formats.map(|format| format!("unrecognized format {}", object::field::quote(&format))).collect()
    }

    fn check_name_of(&self, object: &Value, name: &str, prefix: bool) -> Vec<String> {
        let mut wrong = names::dns1123_subdomain(&without_final_dash(name, prefix));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if name != format!("{}.{}", text(&object["spec"]["names"]["plural"]), text(&object["spec"]["group"])) {
            wrong.push("must be spec.names.plural+\".\"+spec.group".to_owned());
        }
        wrong
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn versions(object: &Value) -> impl Iterator<Item = &Value> {
    object["spec"]["versions"].as_array().into_iter().flatten()
}

/// The storage version is one in which objects may be stored from now on.
fn keep_stored_versions(object: &mut Value) {
    let Some(name) = versions(object).find(|version| version["storage"] == true).map(|v| v["name"].clone()) else {
        return;
    };
    let stored = object_at(object, "status").entry("storedVersions").or_insert_with(|| json!([]));
    if let Some(stored) = stored.as_array_mut()
        && !stored.contains(&name)
    {
        stored.push(name);
    }
}

fn whole(object: &Value, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    let form = form::internal(&object["spec"]);
    let spec = At { value: &form, path: Path::new("spec") };
    spec::spec(&spec, &object["spec"], &mut errors);
    if let Some(old) = old {
        unchanged(&spec, old, &mut errors);
    }
    spec::names(&At::root(object).at("status").at("acceptedNames"), &mut errors);
    stored_versions(object, &mut errors);
    approval(object, old, &mut errors);
    if object["spec"]["preserveUnknownFields"] == true
        && old.is_none_or(|old| old["spec"]["preserveUnknownFields"] != true)
    {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema \
                      instead";
        errors.push(Error::invalid(&spec.path.child("preserveUnknownFields"), true, detail));
    }
    errors
}

/// Once it is served, a type is what it is.
fn unchanged(spec: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let conditions = old["status"]["conditions"].as_array().into_iter().flatten();
    let established = conditions.into_iter().any(|c| c["type"] == "Established" && c["status"] == "True");
    let old = &old["spec"];
    if established {
        immutable(&spec.at("scope"), &old["scope"], errors);
        immutable(&spec.at("names").at("kind"), &old["names"]["kind"], errors);
    }
    immutable(&spec.at("group"), &old["group"], errors);
    immutable(&spec.at("names").at("plural"), &old["names"]["plural"], errors);
}

/// Versions in which objects may be stored must stay.
fn stored_versions(object: &Value, errors: &mut ErrorList) {
    let stored = At::root(object).at("status").at("storedVersions");
    if stored.is_empty() {
        errors.push(stored.invalid("must have at least one stored version"));
        return;
    }
    let mut others: Vec<At<'_>> = stored.items().collect();
    for version in versions(object) {
        let name = version["name"].as_str().unwrap_or_default();
        let before = others.len();
        others.retain(|entry| entry.text() != name);
        if version["storage"] == true && others.len() == before {
            errors.push(stored.invalid(format!("must have the storage version {name}")));
        }
    }
    for entry in others {
        let name = entry.text();
        let detail = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until \
             a storage migration ensures no data remains persisted in {name} and removes {name} from \
             status.storedVersions"
        );
        errors.push(entry.invalid(detail));
    }
}

/// How an API of the community stands.
#[derive(PartialEq, Eq)]
enum Approval {
    Given,
    Bypassed,
    Missing,
    Malformed,
}

fn approval_of(object: &Value) -> Approval {
    let said = object["metadata"]["annotations"][APPROVED].as_str().unwrap_or_default();
    match said {
        "" => Approval::Missing,
        said if said.starts_with("unapproved") => Approval::Bypassed,
        said if webhook::is_absolute_url(said) => Approval::Given,
        _ => Approval::Malformed,
    }
}

fn approval(object: &Value, old: Option<&Value>, errors: &mut ErrorList) {
    let group = object["spec"]["group"].as_str().unwrap_or_default();
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let state = approval_of(object);
    if !protected || old.is_some_and(|old| approval_of(old) == state) {
        return;
    }
    let at = Path::new("metadata").child("annotations").key(APPROVED);
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    let must = format!("protected groups must have approval annotation \"{APPROVED}\"");
    match state {
        Approval::Missing => errors.push(Error::required(&at, format!("{must}, {see}"))),
        Approval::Malformed => {
            let value = object["metadata"]["annotations"][APPROVED].clone();
            let detail = format!("{must} with either a URL or a reason starting with \"unapproved\", {see}");
            errors.push(Error::invalid(&at, value, detail));
        }
        Approval::Given | Approval::Bypassed => {}
    }
}

/// Versions as messages show them.
fn shown_versions(versions: &At<'_>) -> Value {
    let shown = versions
        .items()
        .map(|version| internal::shown("apiextensions.v1.CustomResourceDefinitionVersion", version.value));
    if versions.is_set() { shown.collect() } else { Value::Null }
}
