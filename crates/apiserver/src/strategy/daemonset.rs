//! DaemonSets.

use object::field::ErrorList;
use serde_json::Value;

use super::field::{At, immutable, one_of};
use super::workload::{counts, int_or_percent, not_above_hundred_percent, restarts_always, selected_template};
use super::{Context, Strategy, pod};

pub(super) struct DaemonSet;

const STATUS_COUNTS: &[&str] = &[
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
];

impl Strategy for DaemonSet {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        selected_template(&spec, "daemonset", &mut errors);
        restarts_always(&spec.at("template"), "DaemonSet", &mut errors);
        counts(&spec, &["minReadySeconds", "revisionHistoryLimit"], &mut errors);
        update_strategy(&spec.at("updateStrategy"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            counts(&At::root(object).at("status"), STATUS_COUNTS, &mut errors);
            return errors;
        }
        errors = self.validate(cx, object);
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

fn update_strategy(at: &At<'_>, errors: &mut ErrorList) {
    let rolling = at.at("rollingUpdate");
    match at.at("type").text() {
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            let values = (int_or_percent(&unavailable, errors), int_or_percent(&surge, errors));
            match values {
                (Some(0), Some(0)) => errors.push(unavailable.invalid("cannot be 0 when maxSurge is 0")),
                (Some(1..), Some(1..)) => {
                    errors.push(surge.invalid("may not be set when maxUnavailable is non-zero"));
                }
                _ => {}
            }
            not_above_hundred_percent(&unavailable, errors);
            not_above_hundred_percent(&surge, errors);
        }
        _ => one_of(&at.at("type"), &["OnDelete", "RollingUpdate"], errors),
    }
}
