//! Pods: checked as a whole, changed hardly at all, deleted gracefully.

mod annotations;
mod claims;
mod container;
mod dns;
mod env;
mod mount;
pub(super) mod options;
mod overlap;
pub(super) mod prepare;
mod probe;
mod projected;
mod qos;
mod resize;
pub(super) mod resources;
mod restart;
pub(super) mod scheduling;
mod security;
pub(super) mod spec;
mod spread;
mod status;
mod template;
mod update;
pub(super) mod volume;
pub(super) mod warnings;
mod windows;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

use super::field::{At, object_at, remove};
use super::{Context, Strategy};
use options::Options;

pub(super) use template::{prepare as prepare_template, validate as validate_template, warnings as template_warnings};

/// What subresources that write the spec leave alone.
const METADATA: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences"];

pub(super) struct Pod;

impl Strategy for Pod {
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        let mut status = json!({"phase": "Pending", "qosClass": qos::class(object)});
        if !At::root(object).at("spec").at("schedulingGates").is_empty() {
            status["conditions"] = json!([gated(&object::time::seconds(cx.now))]);
        }
        object["status"] = status;
        prepare::drop_disabled(object, None);
        prepare::merge_label_keys(object);
        prepare::adopt_apparmor(object, cx.warnings);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        match cx.subresource {
            "ephemeralcontainers" => {
                let containers = object["spec"]["ephemeralContainers"].take();
                object["spec"] = old["spec"].clone();
                object["spec"]["ephemeralContainers"] = containers;
                keep_metadata(object, old, METADATA);
            }
            "resize" => {
                resize::prepare(object, old);
                keep_metadata(object, old, METADATA);
            }
            "status" => {
                keep_metadata(object, old, &["ownerReferences"]);
                status::keep_generations(object, old);
            }
            _ => {}
        }
        if object["status"].is_object() && object["status"]["qosClass"].is_null() {
            object["status"]["qosClass"] = old["status"]["qosClass"].clone();
        }
        prepare::drop_disabled(object, Some(old));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let options = Options::default().pod();
        whole(object, &options, &mut errors);
        let (root, spec) = (At::root(object), At::root(object).at("spec"));
        if !spec.at("ephemeralContainers").is_empty() {
            errors.push(spec.at("ephemeralContainers").forbidden("cannot be set on create"));
        }
        if !spec.at("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
            let detail = "cannot be set until all schedulingGates have been cleared";
            errors.push(spec.at("nodeName").forbidden(detail));
        }
        annotations::agree(&root.at("metadata"), &spec, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let metadata = At::root(object).at("metadata");
        let options = Options::of(Some((&old["spec"], &old["metadata"]))).pod();
        if cx.subresource != "status" {
            whole(object, &options, &mut errors);
        }
        if cx.subresource != "resize" {
            annotations::validate_update(&metadata, &old["metadata"], &mut errors);
            annotations::validate(&metadata, &At::root(object).at("spec"), &options, &mut errors);
        }
        match cx.subresource {
            "status" => status::validate(object, old, &mut errors),
            "ephemeralcontainers" if annotations::is_mirror(&old["metadata"]) => {
                return Error::forbidden(&Path::unnamed(), "static pods do not support ephemeral containers").into();
            }
            "ephemeralcontainers" => update::validate_ephemeral(object, old, &mut errors),
            "resize" => resize::validate(object, old, &mut errors),
            _ => update::validate(object, old, &mut errors),
        }
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        match (cx.subresource, old) {
            ("status", _) => warnings::of_status(&object["status"]),
            ("", None) => {
                let root = At::root(object);
                let mut all = host_name(object);
                all.extend(warnings::of(&root.at("metadata"), &root.at("spec")));
                all
            }
            _ => Vec::new(),
        }
    }

    fn tracks_generation(&self) -> bool {
        true
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn grace_period(&self, _: &Context<'_>, object: &mut Value, requested: Option<i64>) -> Option<i64> {
        let wished = requested.or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0);
        let unscheduled = object["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
        let ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        Some(match wished {
            _ if unscheduled || ended => 0,
            ..0 => 1,
            wished => wished,
        })
    }
}

/// All containers of a pod: init, normal and ephemeral ones.
fn each_container<'a>(spec: &At<'a>) -> impl Iterator<Item = At<'a>> + use<'a> {
    let spec = spec.clone();
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(move |list| spec.at(list).items())
}

/// What holds for every pod.
fn whole(object: &Value, options: &Options, errors: &mut ErrorList) {
    let (metadata, spec) = (At::root(object).at("metadata"), At::root(object).at("spec"));
    annotations::validate(&metadata, &spec, options, errors);
    spec::validate(&spec, Some(metadata.value), options, errors);
    if spec.at("serviceAccountName").is_empty() {
        let projected = spec.at("volumes").items().map(|volume| volume.at("projected"));
        let tokens = projected.flat_map(|p| p.at("sources").items()).map(|source| source.at("serviceAccountToken"));
        let detail = "must not be specified when serviceAccountName is not set";
        errors.extend(tokens.filter(At::is_set).map(|token| token.forbidden(detail)));
    }
    for container in spec.at("containers").items().chain(spec.at("initContainers").items()) {
        container::padded_image(&container, errors);
    }
}

/// The name of a pod is the name of its host.
fn host_name(object: &Value) -> Vec<String> {
    let wrong = names::dns1123_label(object::meta::name(object));
    let text = "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended";
    if wrong.is_empty() { Vec::new() } else { vec![format!("{text}: [{}]", wrong.join(" "))] }
}

/// What a write of a subresource leaves of the metadata as it was.
fn keep_metadata(object: &mut Value, old: &Value, fields: &[&str]) {
    for field in fields {
        match &old["metadata"][*field] {
            Value::Null => remove(&mut object["metadata"], field),
            kept => drop(object_at(object, "metadata").insert((*field).to_owned(), kept.clone())),
        }
    }
}

fn gated(now: &str) -> Value {
    json!({
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": null,
        "lastTransitionTime": now,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    })
}
