//! Jobs.

use object::field::ErrorList;
use serde_json::{Value, json};

use super::field::{At, immutable, object_at, optional_one_of, remove};
use super::workload::{counts, selected_template};
use super::{Collection, Context, Strategy, pod};

pub(super) struct Job;

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Fields of the spec that never change.
const IMMUTABLE: &[&str] =
    &["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "successPolicy", "managedBy"];

/// What a suspended job's template may be changed in before it starts.
const SCHEDULING: &[&str] = &["nodeSelector", "tolerations", "affinity", "schedulingGates"];

impl Strategy for Job {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object["status"] = json!({});
        if !object["spec"]["manualSelector"].as_bool().unwrap_or_default() {
            generate_selector(object);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        counts(
            &spec,
            &[
                "parallelism",
                "completions",
                "activeDeadlineSeconds",
                "backoffLimit",
                "ttlSecondsAfterFinished",
                "backoffLimitPerIndex",
                "maxFailedIndexes",
            ],
            &mut errors,
        );
        selected_template(&spec, "job", &mut errors);
        optional_one_of(&spec.at("completionMode"), &["Indexed", "NonIndexed"], &mut errors);
        optional_one_of(&spec.at("podReplacementPolicy"), &["Failed", "TerminatingOrFailed"], &mut errors);
        let completions = spec.at("completions");
        if spec.at("completionMode").text() == "Indexed" && !completions.is_set() {
            errors.push(completions.required("when completion mode is Indexed"));
        }
        let policy = spec.at("template").at("spec").at("restartPolicy");
        match policy.text() {
            "OnFailure" | "Never" => {}
            "" | "Always" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
            _ => errors.push(policy.unsupported(&["OnFailure", "Never"])),
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            return ErrorList::new();
        }
        let mut errors = self.validate(cx, object);
        let (spec, before) = (At::root(object).at("spec"), &old["spec"]);
        for field in IMMUTABLE {
            immutable(&spec.at(field), &before[*field], &mut errors);
        }
        if before["completionMode"] != "Indexed" {
            immutable(&spec.at("completions"), &before["completions"], &mut errors);
        }
        let starts_later = before["suspend"] == true && old["status"]["startTime"].is_null();
        let (now, then) =
            (template(&spec.value["template"], starts_later), template(&before["template"], starts_later));
        if now != then {
            errors.push(spec.at("template").invalid("field is immutable"));
        }
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        pod::warnings(&At::root(object).at("spec").at("template").at("spec"))
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
    for (key, value) in [(CONTROLLER_UID, &uid), ("controller-uid", &uid), (JOB_NAME, &name), ("job-name", &name)] {
        labels.insert(key.to_owned(), value.as_str().into());
    }
    let selector = object_at(&mut object["spec"], "selector").entry("matchLabels").or_insert_with(|| json!({}));
    selector[CONTROLLER_UID] = uid.into();
}

fn template(template: &Value, may_be_moved: bool) -> Value {
    let mut template = template.clone();
    if may_be_moved {
        SCHEDULING.iter().for_each(|field| remove(&mut template["spec"], field));
        remove(&mut template, "metadata");
    }
    template
}
