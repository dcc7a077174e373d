//! Jobs.

mod failure;
mod indexes;
pub(super) mod spec;
mod status;
mod success;
mod update;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Map, Value, json};

use super::field::{At, object_at};
use super::{Collection, Context, Strategy, labels, workload};

pub(super) struct Job;

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const JOB_NAME: &str = "batch.kubernetes.io/job-name";
const OLD_CONTROLLER_UID: &str = "controller-uid";
const OLD_JOB_NAME: &str = "job-name";

impl Strategy for Job {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object["status"] = json!({});
        if !object["spec"]["manualSelector"].as_bool().unwrap_or_default() {
            generate_selector(object);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        validate(object, true)
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            return status::validate(object, old);
        }
        let has = |label: &str| old["spec"]["template"]["metadata"]["labels"][label].is_string();
        let mut errors = validate(object, has(JOB_NAME) && has(CONTROLLER_UID));
        errors.extend(update::validate(object, old));
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let name = workload::name_warning(object, old).into_iter();
        name.chain(spec::warnings(cx, &At::root(object).at("spec"), object, old)).collect()
    }

    fn tracks_generation(&self) -> bool {
        true
    }

    /// Jobs are older than garbage collection: who does not ask for it keeps their pods.
    fn collection(&self) -> Collection {
        Collection::Orphan
    }
}

/// A job selects its pods by its own uid.
fn generate_selector(object: &mut Value) {
    let uid = object::meta::uid(object).to_owned();
    let name = object::meta::name(object).to_owned();
    let template = object_at(&mut object["spec"], "template");
    let metadata = template.entry("metadata").or_insert_with(|| json!({}));
    let labels = object_at(metadata, "labels");
    let own = [(CONTROLLER_UID, &uid), (JOB_NAME, &name), (OLD_CONTROLLER_UID, &uid), (OLD_JOB_NAME, &name)];
    for (key, value) in own {
        add(labels, key, value);
    }
    let selector = object_at(&mut object["spec"], "selector").entry("matchLabels").or_insert_with(|| json!({}));
    if let Value::Object(matched) = selector {
        add(matched, CONTROLLER_UID, &uid);
    }
}

fn add(labels: &mut Map<String, Value>, key: &str, value: &str) {
    labels.entry(key).or_insert_with(|| value.into());
}

/// `prefixed`: the labels with a prefix must be there; jobs of old servers lack them.
fn validate(object: &Value, prefixed: bool) -> ErrorList {
    let (root, mut errors) = (At::root(object), ErrorList::new());
    generated_selector(&root, prefixed, &mut errors);
    let spec = root.at("spec");
    spec::validate_whole(&spec, &mut errors);
    let completions = spec.at("completions").number().unwrap_or_default();
    if spec.at("completionMode").text() == "Indexed" && completions > 0 {
        let name = root.at("metadata").at("name");
        let last = format!("{}-{}", name.text(), completions - 1);
        if !names::dns1123_label(&last).is_empty() {
            errors.push(name.invalid(format!("will not able to create pod with invalid DNS label: {last}")));
        }
    }
    errors
}

fn generated_selector(root: &At<'_>, prefixed: bool, errors: &mut ErrorList) {
    let spec = root.at("spec");
    let selector = spec.at("selector");
    if spec.at("manualSelector").flag() || !selector.is_set() {
        return;
    }
    let (uid, name) = (object::meta::uid(root.value), object::meta::name(root.value));
    let old = [(OLD_CONTROLLER_UID, uid), (OLD_JOB_NAME, name)];
    let new = [(CONTROLLER_UID, uid), (JOB_NAME, name)];
    let expected: Vec<_> = if prefixed { old.into_iter().chain(new).collect() } else { old.to_vec() };
    let own = spec.at("template").at("metadata").at("labels");
    for (key, value) in &expected {
        has_label(&own, key, value, errors);
    }
    let expected: Map<String, Value> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
    let expected = Value::Object(expected);
    let wanted = At { value: &expected, path: own.path };
    if labels::is_readable(&selector) && !labels::selects(&selector, &wanted) {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

fn has_label(labels: &At<'_>, key: &str, expected: &str, errors: &mut ErrorList) {
    let (path, detail) = (labels.path.key(key), format!("must be '{expected}'"));
    match labels.value[key].as_str() {
        None => errors.push(Error::required(&path, detail)),
        Some(value) if value != expected => errors.push(Error::invalid(&path, labels.value.clone(), detail)),
        Some(_) => {}
    }
}
