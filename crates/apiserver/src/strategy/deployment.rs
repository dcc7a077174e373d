//! Deployments.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::{At, immutable, one_of};
use super::workload::{
    counts, int_or_percent, not_above_hundred_percent, restarts_always, selected_template, status_counts,
};
use super::{Context, Strategy, pod};

pub(super) struct Deployment;

impl Strategy for Deployment {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        validate_spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            let mut errors = ErrorList::new();
            validate_status(&At::root(object).at("status"), &mut errors);
            return errors;
        }
        let mut errors = self.validate(cx, object);
        immutable(&At::root(object).at("spec").at("selector"), &old["spec"]["selector"], &mut errors);
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        pod::warnings(&At::root(object).at("spec").at("template").at("spec"))
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn validate_spec(spec: &At<'_>, errors: &mut ErrorList) {
    counts(spec, &["replicas"], errors);
    selected_template(spec, "deployment", errors);
    restarts_always(&spec.at("template"), "ReplicaSet", errors);
    strategy(&spec.at("strategy"), errors);
    counts(spec, &["minReadySeconds", "revisionHistoryLimit"], errors);
    let deadline = spec.at("progressDeadlineSeconds");
    counts(spec, &["progressDeadlineSeconds"], errors);
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
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            let values = (int_or_percent(&unavailable, errors), int_or_percent(&surge, errors));
            if values == (Some(0), Some(0)) {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            not_above_hundred_percent(&unavailable, errors);
        }
        _ => one_of(&at.at("type"), &["Recreate", "RollingUpdate"], errors),
    }
}

fn validate_status(status: &At<'_>, errors: &mut ErrorList) {
    const COUNTS: &[&str] = &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ];
    const BOUNDS: &[(&str, &str, &str)] = &[
        ("updatedReplicas", "replicas", "cannot be greater than status.replicas"),
        ("readyReplicas", "replicas", "cannot be greater than status.replicas"),
        ("availableReplicas", "replicas", "cannot be greater than status.replicas"),
        ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
    ];
    status_counts(status, COUNTS, BOUNDS, errors);
    let collisions = status.at("collisionCount");
    if collisions.number().is_some_and(|n| n < 0) {
        errors.push(Error::invalid(&collisions.path, collisions.value.clone(), "must be greater than or equal to 0"));
    }
}
