//! ReplicationControllers: like ReplicaSets, with the simpler selector of their time.

use object::field::ErrorList;
use object::names;
use serde_json::Value;

use super::field::{At, non_negative, object_at};
use super::{Collection, Context, Strategy, pod, workload};

pub(super) struct ReplicationController;

const ABOVE: &str = "cannot be greater than status.replicas";
const COUNTS: &[&str] =
    &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
const BOUNDS: &[(&str, &str, &str)] = &[
    ("fullyLabeledReplicas", "replicas", ABOVE),
    ("readyReplicas", "replicas", ABOVE),
    ("availableReplicas", "replicas", ABOVE),
    ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
];

impl Strategy for ReplicationController {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object["status"] = serde_json::json!({"replicas": 0});
        prepare(object, None);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource != "status" {
            prepare(object, Some(old));
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), None, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            workload::status_counts(&root.at("status"), COUNTS, BOUNDS, &mut errors);
        } else {
            spec(&root.at("spec"), Some(&old["spec"]["template"]), &mut errors);
        }
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let changed = old.is_some_and(|old| old["metadata"]["generation"] == object["metadata"]["generation"]);
        if cx.subresource == "status" || changed {
            return Vec::new();
        }
        let wrong = names::dns1123_label(object::meta::name(object));
        let mut all = Vec::new();
        if old.is_none() && !wrong.is_empty() {
            let text = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended";
            all.push(format!("{text}: [{}]", wrong.join(" ")));
        }
        // Upstream looks at the old template here.
        all.extend(pod::template_warnings(&At::root(old.unwrap_or(object)).at("spec").at("template")));
        all
    }

    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        if prefix { names::path_segment_prefix(name) } else { names::dns1123_subdomain(name) }
    }

    fn tracks_generation(&self) -> bool {
        true
    }

    fn collection(&self) -> Collection {
        Collection::Orphan
    }
}

fn prepare(object: &mut Value, old: Option<&Value>) {
    if object["spec"]["template"].is_object() {
        let template = &mut object_at(object, "spec")["template"];
        pod::prepare_template(template, old.map(|old| &old["spec"]["template"]));
    }
}

fn spec(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let (selector, template, replicas) = (spec.at("selector"), spec.at("template"), spec.at("replicas"));
    non_negative(&spec.at("minReadySeconds"), errors);
    if selector.is_empty() {
        errors.push(selector.required(""));
    }
    if replicas.is_set() {
        non_negative(&replicas, errors);
    } else {
        errors.push(replicas.required(""));
    }
    if !template.is_set() {
        errors.push(template.required(""));
        return;
    }
    let labels = template.at("metadata").at("labels");
    if !selector.entries().all(|(key, value)| labels.value[key] == *value.value) {
        errors.push(labels.invalid("`selector` does not match template `labels`"));
    }
    match old {
        Some(old) => workload::updated_template(&template, old, errors),
        None => workload::template(&template, errors),
    }
    workload::restarts_always(&template, "ReplicationController", errors);
}
