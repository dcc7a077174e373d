//! What is the same for the metadata of all objects: filling it, and checking it in upstream's words.

use std::collections::BTreeSet;

use host::Host;
use jiff::Timestamp;
use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Map, Value};

use crate::strategy::Strategy;

/// The longest generated name: room for five random characters within 63.
const LONGEST_BASE: usize = 58;
const SUFFIX: usize = 5;
const ANNOTATIONS_LIMIT: usize = 256 * 1024;
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
/// Groups and kinds that cannot own.
const BANNED_OWNERS: [(&str, &str); 1] = [("v1", "Event")];

/// A text in metadata; empty when absent.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The metadata of an object, made where it is missing.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    object["metadata"].as_object_mut().expect("it was made an object")
}

/// Puts `value` at `field` of the metadata; `Null` removes it.
pub(super) fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    let metadata = metadata(object);
    match value.into() {
        Value::Null => {
            metadata.shift_remove(field);
        }
        value => {
            metadata.insert(field.to_owned(), value);
        }
    }
}

pub(super) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// What the server alone decides about a new object.
pub(super) fn fill(host: &Host, object: &mut Value, namespace: &str) {
    let generated = text(object, "generateName");
    let name = (text(object, "name").is_empty() && !generated.is_empty()).then(|| generate(host, generated));
    if let Some(name) = name {
        set(object, "name", name);
    }
    set(object, "namespace", if namespace.is_empty() { Value::Null } else { namespace.into() });
    set(object, "uid", host.entropy.uuid());
    set(object, "creationTimestamp", object::time::seconds(host.now()));
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] {
        set(object, field, Value::Null);
    }
}

fn generate(host: &Host, base: &str) -> String {
    let base: String = base.chars().take(LONGEST_BASE).collect();
    format!("{base}{}", host.entropy.suffix(SUFFIX))
}

/// Takes from `old` what an update cannot change, where the caller left it out or it is the server's.
pub(super) fn carry(object: &mut Value, old: &Value) {
    let kept = &old["metadata"];
    for field in ["creationTimestamp", "generation", "selfLink"] {
        set(object, field, kept[field].clone());
    }
    if text(object, "uid").is_empty() {
        set(object, "uid", kept["uid"].clone());
    }
    if text(object, "namespace").is_empty() {
        set(object, "namespace", kept["namespace"].clone());
    }
    if kept["deletionTimestamp"].is_string() {
        set(object, "deletionTimestamp", kept["deletionTimestamp"].clone());
    }
    if kept["deletionGracePeriodSeconds"].is_number() && object["metadata"]["deletionGracePeriodSeconds"].is_null() {
        set(object, "deletionGracePeriodSeconds", kept["deletionGracePeriodSeconds"].clone());
    }
    if !kept["generateName"].is_null() && object["metadata"]["generateName"].is_null() {
        set(object, "generateName", kept["generateName"].clone());
    }
}

/// Marks an object as being deleted, for a deletion that must wait: no grace, finalizers only.
pub(super) fn mark_deleting(object: &mut Value, now: Timestamp) {
    if !is_deleting(object) {
        set(object, "deletionTimestamp", object::time::seconds(now));
        bump_generation(object);
    }
    set(object, "deletionGracePeriodSeconds", 0);
}

pub(super) fn bump_generation(object: &mut Value) {
    if let Some(generation) = object["metadata"]["generation"].as_i64().filter(|generation| *generation > 0) {
        set(object, "generation", generation + 1);
    }
}

/// Checks the metadata of any object.
pub(super) fn validate(object: &Value, namespaced: bool, strategy: &dyn Strategy) -> ErrorList {
    let root = Path::new("metadata");
    let mut errors = ErrorList::new();
    let generated = text(object, "generateName");
    if !generated.is_empty() {
        errors.extend_invalid(&root.child("generateName"), generated, strategy.check_name_of(object, generated, true));
    }
    match text(object, "name") {
        "" => errors.push(Error::required(&root.child("name"), "name or generateName is required")),
        name => errors.extend_invalid(&root.child("name"), name, strategy.check_name_of(object, name, false)),
    }
    let namespace = text(object, "namespace");
    match (namespaced, namespace) {
        (true, "") => errors.push(Error::required(&root.child("namespace"), "")),
        (true, _) => errors.extend_invalid(&root.child("namespace"), namespace, names::dns1123_label(namespace)),
        (false, "") => {}
        (false, _) => errors.push(Error::forbidden(&root.child("namespace"), "not allowed on this type")),
    }
    if let Some(generation) = object["metadata"]["generation"].as_i64().filter(|generation| *generation < 0) {
        errors.push(Error::invalid(&root.child("generation"), generation, "must be greater than or equal to 0"));
    }
    common(object, &root, &mut errors);
    errors
}

/// Checks what an update does to the metadata.
pub(super) fn validate_update(object: &Value, old: &Value) -> ErrorList {
    let root = Path::new("metadata");
    let mut errors = ErrorList::new();
    if is_deleting(old) {
        no_new_finalizers(object, old, &root, &mut errors);
    }
    let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap_or(0);
    if generation(object) < generation(old) {
        errors.push(Error::invalid(&root.child("generation"), generation(object), "must not be decremented"));
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, old) = (&object["metadata"][field], &old["metadata"][field]);
        if new != old {
            errors.push(Error::invalid(&root.child(field), new.clone(), "field is immutable"));
        }
    }
    common(object, &root, &mut errors);
    errors
}

fn no_new_finalizers(object: &Value, old: &Value, root: &Path, errors: &mut ErrorList) {
    let known: BTreeSet<&str> = finalizers(old).collect();
    let new: Vec<String> = finalizers(object).filter(|f| !known.contains(f)).map(|f| format!("{f:?}")).collect();
    if !new.is_empty() {
        let text = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            new.join(", ")
        );
        errors.push(Error::forbidden(&root.child("finalizers"), text));
    }
}

fn common(object: &Value, root: &Path, errors: &mut ErrorList) {
    labels(&object["metadata"]["labels"], &root.child("labels"), errors);
    annotations(&object["metadata"]["annotations"], &root.child("annotations"), errors);
    owners(&object["metadata"]["ownerReferences"], &root.child("ownerReferences"), errors);
    check_finalizers(object, &root.child("finalizers"), errors);
}

/// Finalizers are qualified names; those without a domain must be the standard ones.
fn check_finalizers(object: &Value, path: &Path, errors: &mut ErrorList) {
    for finalizer in finalizers(object) {
        errors.extend_invalid(path, finalizer, names::qualified_name(finalizer));
    }
    let has = |wanted: &str| finalizers(object).any(|finalizer| finalizer == wanted);
    if has("orphan") && has("foregroundDeletion") {
        let text = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(Error::invalid(path, object["metadata"]["finalizers"].clone(), text));
    }
    for (index, finalizer) in finalizers(object).enumerate() {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
            let text = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(Error::invalid(&path.index(index), finalizer, text));
        }
    }
}

fn labels(labels: &Value, path: &Path, errors: &mut ErrorList) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        errors.extend_invalid(path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        errors.extend_invalid(path, value, names::label_value(value));
    }
}

fn annotations(annotations: &Value, path: &Path, errors: &mut ErrorList) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        // Upstream lets the case of annotation keys be.
        errors.extend_invalid(path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(Error::too_long(path, ANNOTATIONS_LIMIT));
    }
}

/// Upstream names the list where it means one of its entries.
fn owners(owners: &Value, path: &Path, errors: &mut ErrorList) {
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        check_owner(owner, path, errors);
        if owner["controller"] != true {
            continue;
        }
        let field = |name: &str| owner[name].as_str().unwrap_or_default();
        let name = format!("{}/{}", field("kind"), field("name"));
        match &controller {
            None => controller = Some(name),
            Some(first) => {
                let found = format!("Found \"true\" in references for {first} and {name}");
                let text = format!("Only one reference can have Controller set to true. {found}");
                errors.push(Error::invalid(path, owners.clone(), text));
            }
        }
    }
}

fn check_owner(owner: &Value, path: &Path, errors: &mut ErrorList) {
    let field = |name: &str| owner[name].as_str().unwrap_or_default();
    let version = field("apiVersion").rsplit('/').next().unwrap_or_default();
    if version.is_empty() {
        errors.push(Error::invalid(&path.child("apiVersion"), field("apiVersion"), "version must not be empty"));
    }
    for name in ["kind", "name", "uid"].into_iter().filter(|name| field(name).is_empty()) {
        errors.push(Error::invalid(&path.child(name), "", "must not be empty"));
    }
    if BANNED_OWNERS.contains(&(field("apiVersion"), field("kind"))) {
        let text = format!("/{}, Kind={} is disallowed from being an owner", field("apiVersion"), field("kind"));
        errors.push(Error::invalid(path, owner.clone(), text));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::strategy::Plain;

    fn check(metadata: Value, namespaced: bool, expected: &[&str]) {
        let errors = validate(&json!({ "metadata": metadata }), namespaced, &Plain);
        let fields: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
        assert_eq!(fields.len(), expected.len(), "{fields:?}");
        for (found, expected) in fields.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} is not {expected}");
        }
    }

    #[test]
    fn metadata_is_checked() {
        check(json!({"name": "a", "namespace": "n"}), true, &[]);
        check(json!({"name": "a"}), false, &[]);
        check(json!({"namespace": "n"}), true, &["metadata.name: name or generateName is required"]);
        check(json!({"name": "A", "namespace": "n"}), true, &["metadata.name: a lowercase RFC 1123 subdomain"]);
        check(json!({"name": "a"}), true, &["metadata.namespace: "]);
        check(json!({"name": "a", "namespace": "n"}), false, &["metadata.namespace: not allowed on this type"]);
        check(json!({"name": "a", "labels": {"-": "x y"}}), false, &["metadata.labels: ", "metadata.labels: "]);
        check(json!({"name": "a", "annotations": {"A.Io/B": "any thing"}}), false, &[]);
        check(json!({"name": "a", "finalizers": ["x"]}), false, &["metadata.finalizers[0]: name is neither"]);
        check(json!({"name": "a", "finalizers": ["x.io/y", "orphan"]}), false, &[]);
        check(
            json!({"name": "a", "ownerReferences": [{}]}),
            false,
            &[
                "metadata.ownerReferences.apiVersion: version must not be empty",
                "metadata.ownerReferences.kind: must not be empty",
                "metadata.ownerReferences.name: must not be empty",
                "metadata.ownerReferences.uid: must not be empty",
            ],
        );
    }

    #[test]
    fn updates_keep_what_is_fixed() {
        let old = json!({"metadata": {"name": "a", "uid": "u", "deletionTimestamp": "t", "finalizers": ["a/b"]}});
        let mut new = json!({"metadata": {"name": "a", "uid": "v", "finalizers": ["a/c"]}});
        carry(&mut new, &old);
        let errors = validate_update(&new, &old);
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["metadata.finalizers", "metadata.uid"]);
    }

    #[test]
    fn generated_names_fit() {
        let host = Host::simulated(Timestamp::UNIX_EPOCH, 1);
        let name = generate(&host, &"a".repeat(80));
        assert_eq!(name.len(), 63);
    }
}
