//! Deployments.

use object::field::ErrorList;
use serde_json::{Value, json};

use super::field::{At, immutable};
use super::workload::{self, amount, counts, int_or_percent, not_above_hundred_percent};
use super::{Context, Strategy, status};

pub(super) struct Deployment;

const COUNTS: &[&str] = &[
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
];

const BOUNDS: &[(&str, &str, &str)] = &[
    ("updatedReplicas", "replicas", "cannot be greater than status.replicas"),
    ("readyReplicas", "replicas", "cannot be greater than status.replicas"),
    ("availableReplicas", "replicas", "cannot be greater than status.replicas"),
    ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
];

impl Strategy for Deployment {
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            status::keep_metadata(object, old, &["labels"]);
        } else if object["metadata"]["annotations"] != old["metadata"]["annotations"] {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        validate_spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            let (status, mut errors) = (At::root(object).at("status"), ErrorList::new());
            workload::status_counts(&status, COUNTS, BOUNDS, &mut errors);
            workload::not_decremented(&status.at("collisionCount"), &old["status"]["collisionCount"], &mut errors);
            return errors;
        }
        let mut errors = self.validate(cx, object);
        immutable(&At::root(object).at("spec").at("selector"), &old["spec"]["selector"], &mut errors);
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let template = At::root(object).at("spec").at("template");
        let name = workload::name_warning(object, old).into_iter();
        name.chain(workload::warnings(cx, &template, object, old)).collect()
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn validate_spec(spec: &At<'_>, errors: &mut ErrorList) {
    counts(spec, &["replicas"], errors);
    workload::selector(spec, "deployment", errors);
    workload::replica_template(spec, errors);
    strategy(&spec.at("strategy"), errors);
    counts(spec, &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], errors);
    let deadline = spec.at("progressDeadlineSeconds");
    let ready = spec.at("minReadySeconds").number().unwrap_or_default();
    if deadline.number().is_some_and(|deadline| deadline <= ready) {
        errors.push(deadline.invalid("must be greater than minReadySeconds"));
    }
}

fn strategy(at: &At<'_>, errors: &mut ErrorList) {
    let rolling = at.at("rollingUpdate");
    match at.at("type").text() {
        "Recreate" if rolling.is_set() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            int_or_percent(&unavailable, errors);
            int_or_percent(&surge, errors);
            if amount(&unavailable) == 0 && amount(&surge) == 0 {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            not_above_hundred_percent(&unavailable, errors);
        }
        _ => errors.push(at.unsupported_struct("apps.v1.DeploymentStrategy", &["Recreate", "RollingUpdate"])),
    }
}
