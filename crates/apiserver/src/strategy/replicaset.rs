//! ReplicaSets.

use object::field::ErrorList;
use serde_json::Value;

use super::field::{At, immutable};
use super::workload::{self, counts, status_counts};
use super::{Context, Strategy};

pub(super) struct ReplicaSet;

const COUNTS: &[&str] = &[
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
];
const BOUNDS: &[(&str, &str, &str)] = &[
    ("fullyLabeledReplicas", "replicas", "cannot be greater than status.replicas"),
    ("readyReplicas", "replicas", "cannot be greater than status.replicas"),
    ("availableReplicas", "replicas", "cannot be greater than status.replicas"),
    ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
];

impl Strategy for ReplicaSet {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        counts(&spec, &["replicas", "minReadySeconds"], &mut errors);
        // Upstream's message is that of deployments.
        workload::selector(&spec, "deployment", &mut errors);
        workload::replica_template(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            status_counts(&At::root(object).at("status"), COUNTS, BOUNDS, &mut errors);
            return errors;
        }
        errors = self.validate(cx, object);
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
