//! What is wrong with a review of access, in upstream's words.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

/// Whom a review asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About<'a> {
    /// The caller.
    Caller,
    /// Whoever the review names.
    Named,
    /// Whoever the review names, in the namespace of the request.
    NamedIn(&'a str),
}

/// One of the two kinds of attributes, a subject where one is to be named, no metadata, and for local reviews their own
/// namespace.
pub(super) fn check(object: &Value, about: About<'_>) -> ErrorList {
    let (path, spec) = (Path::new("spec"), &object["spec"]);
    let (resource, other) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let mut errors = ErrorList::new();
    match (resource.is_null(), other.is_null()) {
        (false, false) => {
            let why = "cannot be specified in combination with resourceAttributes";
            errors.push(Error::invalid(&path.child("nonResourceAttributes"), shown(other), why));
        }
        (true, true) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(Error::invalid(&path.child("resourceAttributes"), Value::Null, why));
        }
        _ => {}
    }
    let named = is_text(&spec["user"]) || spec["groups"].as_array().is_some_and(|groups| !groups.is_empty());
    if about != About::Caller && !named {
        errors.push(Error::invalid(&path.child("user"), "", "at least one of user or group must be specified"));
    }
    let path = path.child("resourceAttributes");
    field_selector(&resource["fieldSelector"], &path.child("fieldSelector"), &mut errors);
    label_selector(&resource["labelSelector"], &path.child("labelSelector"), &mut errors);
    metadata(object, about, &mut errors);
    if let About::NamedIn(namespace) = about {
        local(resource, other, namespace, &mut errors);
    }
    errors
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Attributes as messages show them.
fn shown(attributes: &Value) -> Value {
    let text = |field: &str| attributes[field].as_str().unwrap_or_default();
    json!({"Path": text("path"), "Verb": text("verb")})
}

fn metadata(object: &Value, about: About<'_>, errors: &mut ErrorList) {
    let local = matches!(about, About::NamedIn(_));
    let ignored = |name: &str| name == "managedFields" || name == "creationTimestamp" || (local && name == "namespace");
    let fields = object["metadata"].as_object().into_iter().flatten();
    if fields.into_iter().any(|(name, value)| !ignored(name) && !value.is_null()) {
        let why = if local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(Error::invalid(&Path::new("metadata"), object["metadata"].clone(), why));
    }
}

fn local(resource: &Value, other: &Value, namespace: &str, errors: &mut ErrorList) {
    let own = resource["namespace"].as_str().unwrap_or_default();
    if !resource.is_null() && own != namespace {
        let path = Path::new("spec.resourceAttributes.namespace");
        errors.push(Error::invalid(&path, own, "must match metadata.namespace"));
    }
    if !other.is_null() {
        let path = Path::new("spec.nonResourceAttributes");
        errors.push(Error::invalid(&path, shown(other), "disallowed on this kind of request"));
    }
}

fn field_selector(selector: &Value, path: &Path, errors: &mut ErrorList) {
    for (requirement, path) in requirements(selector, path, errors) {
        if !is_text(&requirement["key"]) {
            errors.push(Error::required(&path.child("key"), "must be specified"));
        }
        values(requirement, &path, errors);
    }
}

fn label_selector(selector: &Value, path: &Path, errors: &mut ErrorList) {
    for (requirement, path) in requirements(selector, path, errors) {
        values(requirement, &path, errors);
        let key = requirement["key"].as_str().unwrap_or_default();
        errors.extend_invalid(&path.child("key"), key, names::qualified_name(key));
        for (index, value) in requirement["values"].as_array().into_iter().flatten().enumerate() {
            let value = value.as_str().unwrap_or_default();
            errors.extend_invalid(&path.child("values").index(index), value, names::label_value(value));
        }
    }
}

/// The requirements of a selector, which stand instead of its raw form.
fn requirements<'a>(selector: &'a Value, path: &Path, errors: &mut ErrorList) -> Vec<(&'a Value, Path)> {
    if selector.is_null() {
        return Vec::new();
    }
    let list = selector["requirements"].as_array().map_or(&[][..], Vec::as_slice);
    let raw = &selector["rawSelector"];
    if is_text(raw) && !list.is_empty() {
        let why = "may not specified at the same time as requirements";
        errors.push(Error::invalid(&path.child("rawSelector"), raw.clone(), why));
    }
    let path_of_list = path.child("requirements");
    if !is_text(raw) && list.is_empty() {
        let why = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(Error::required(&path_of_list, why));
    }
    list.iter().enumerate().map(|(index, requirement)| (requirement, path_of_list.index(index))).collect()
}

/// Operators that nobody knows may come: only known ones are looked at.
fn values(requirement: &Value, path: &Path, errors: &mut ErrorList) {
    let none = requirement["values"].as_array().is_none_or(Vec::is_empty);
    let path = path.child("values");
    match requirement["operator"].as_str().unwrap_or_default() {
        "In" | "NotIn" if none => {
            errors.push(Error::required(&path, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !none => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(Error::forbidden(&path, why));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(about: About<'_>, object: &Value, expected: &[&str]) {
        let found: Vec<String> = check(object, about).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{object}");
    }

    #[test]
    fn kinds_of_attributes() {
        let both = json!({"spec": {"user": "u", "resourceAttributes": {}, "nonResourceAttributes": {"path": "/", "verb": "get"}}});
        refused(About::Named, &json!({"spec": {"user": "u", "resourceAttributes": {}}}), &[]);
        refused(
            About::Named,
            &json!({"spec": {}}),
            &[
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ],
        );
        refused(
            About::Caller,
            &both,
            &[
                "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/\",\"Verb\":\"get\"}: cannot be specified in combination with resourceAttributes",
            ],
        );
    }

    #[test]
    fn metadata_is_empty() {
        let named = json!({"metadata": {"name": "x"}, "spec": {"resourceAttributes": {}}});
        refused(About::Caller, &named, &["metadata: Invalid value: {\"name\":\"x\"}: must be empty"]);
        let local = |namespace: &str| json!({"metadata": {"namespace": "n"}, "spec": {"user": "u", "resourceAttributes": {"namespace": namespace}}});
        refused(About::NamedIn("n"), &local("n"), &[]);
        let expected = "spec.resourceAttributes.namespace: Invalid value: \"x\": must match metadata.namespace";
        refused(About::NamedIn("n"), &local("x"), &[expected]);
        let path = json!({"spec": {"user": "u", "nonResourceAttributes": {"path": "/", "verb": "get"}}});
        refused(
            About::NamedIn("n"),
            &path,
            &[
                "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/\",\"Verb\":\"get\"}: disallowed on this kind of request",
            ],
        );
    }

    #[test]
    fn selectors() {
        let asked = |attributes: Value| json!({"spec": {"resourceAttributes": attributes}});
        refused(
            About::Caller,
            &asked(
                json!({"fieldSelector": {}, "labelSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "In"}]}}),
            ),
            &[
                "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                "spec.resourceAttributes.labelSelector.rawSelector: Invalid value: \"a\": may not specified at the same time as requirements",
                "spec.resourceAttributes.labelSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        );
        refused(
            About::Caller,
            &asked(
                json!({"fieldSelector": {"requirements": [{"key": "", "operator": "X"}, {"key": "a", "operator": "Exists", "values": ["b"]}]}}),
            ),
            &[
                "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified",
                "spec.resourceAttributes.fieldSelector.requirements[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ],
        );
    }
}
