//! DaemonSets.

use object::field::ErrorList;
use serde_json::Value;

use super::field::{At, immutable, object_at};
use super::workload::{
    self, amount, counts, int_or_percent, not_above_hundred_percent, restarts_always, selects_own, template,
};
use super::{Context, Strategy, labels};

pub(super) struct DaemonSet;

/// How often the template has changed: a field of old versions that lives on as an annotation.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

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
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        let generation = template_generation(object).max(1);
        set_template_generation(object, generation);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        let changed = cx.subresource != "status" && object["spec"]["template"] != old["spec"]["template"];
        set_template_generation(object, template_generation(old) + i64::from(changed));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let (selector, inner) = (spec.at("selector"), spec.at("template"));
        labels::selector(&selector, &mut errors);
        if labels::is_readable(&selector) {
            selects_own(&selector, &inner, &mut errors);
        }
        if selector.is_set() && labels::is_empty_selector(&selector) {
            errors.push(selector.invalid("empty selector is invalid for daemonset"));
        }
        template(&inner, &mut errors);
        restarts_always(&inner, "DaemonSet", &mut errors);
        counts(&spec, &["minReadySeconds"], &mut errors);
        update_strategy(&spec.at("updateStrategy"), &mut errors);
        counts(&spec, &["revisionHistoryLimit"], &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            let status = root.at("status");
            counts(&status, STATUS_COUNTS, &mut errors);
            workload::not_decremented(&status.at("collisionCount"), &old["status"]["collisionCount"], &mut errors);
            return errors;
        }
        immutable(&root.at("spec").at("selector"), &old["spec"]["selector"], &mut errors);
        errors.extend(self.validate(cx, object));
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let template = At::root(object).at("spec").at("template");
        if old.is_some_and(|old| old["spec"]["template"] == *template.value) {
            return Vec::new();
        }
        workload::warnings(cx, &template, object, old)
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn template_generation(object: &Value) -> i64 {
    let text = object::meta::annotation(object, TEMPLATE_GENERATION);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn set_template_generation(object: &mut Value, generation: i64) {
    let annotations = object_at(&mut object["metadata"], "annotations");
    annotations.insert(TEMPLATE_GENERATION.to_owned(), generation.to_string().into());
    annotations.sort_keys();
}

fn update_strategy(at: &At<'_>, errors: &mut ErrorList) {
    let rolling = at.at("rollingUpdate");
    match at.at("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => rolling_update(&rolling, errors),
        _ => errors.push(at.unsupported_struct("apps.v1.DaemonSetUpdateStrategy", &["RollingUpdate", "OnDelete"])),
    }
}

fn rolling_update(rolling: &At<'_>, errors: &mut ErrorList) {
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    int_or_percent(&unavailable, errors);
    int_or_percent(&surge, errors);
    not_above_hundred_percent(&unavailable, errors);
    not_above_hundred_percent(&surge, errors);
    match (amount(&unavailable) != 0, amount(&surge) != 0) {
        (true, true) => errors.push(surge.invalid("may not be set when maxUnavailable is non-zero")),
        (false, false) => errors.push(unavailable.required("cannot be 0 when maxSurge is 0")),
        _ => {}
    }
}
