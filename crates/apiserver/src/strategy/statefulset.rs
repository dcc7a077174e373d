//! StatefulSets.

use object::field::{Error, ErrorList, Path};
use serde_json::Value;

use super::field::{At, one_of, optional_name, remove};
use super::workload::{counts, restarts_always, selected_template};
use super::{Context, Strategy, pod};

pub(super) struct StatefulSet;

/// Fields of the spec that may change.
const MUTABLE: &[&str] = &[
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

const STATUS_COUNTS: &[&str] =
    &["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration"];

impl Strategy for StatefulSet {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        one_of(&spec.at("podManagementPolicy"), &["OrderedReady", "Parallel"], &mut errors);
        let update = spec.at("updateStrategy");
        one_of(&update.at("type"), &["OnDelete", "RollingUpdate"], &mut errors);
        counts(&update.at("rollingUpdate"), &["partition"], &mut errors);
        counts(&spec, &["replicas", "minReadySeconds", "revisionHistoryLimit"], &mut errors);
        counts(&spec.at("ordinals"), &["start"], &mut errors);
        selected_template(&spec, "statefulset", &mut errors);
        restarts_always(&spec.at("template"), "StatefulSet", &mut errors);
        let retention = spec.at("persistentVolumeClaimRetentionPolicy");
        for field in ["whenDeleted", "whenScaled"] {
            if retention.is_set() {
                one_of(&retention.at(field), &["Delete", "Retain"], &mut errors);
            }
        }
        optional_name(&spec.at("serviceName"), object::names::dns1123_label, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            counts(&At::root(object).at("status"), STATUS_COUNTS, &mut errors);
            return errors;
        }
        errors = self.validate(cx, object);
        if frozen(&object["spec"]) != frozen(&old["spec"]) {
            let (last, rest) = MUTABLE.split_last().expect("there are mutable fields");
            let listed: Vec<_> = rest.iter().map(|field| format!("'{field}'")).collect();
            let text = format!(
                "updates to statefulset spec for fields other than {} and '{last}' are forbidden",
                listed.join(", ")
            );
            errors.push(Error::forbidden(&Path::new("spec"), text));
        }
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        pod::warnings(&At::root(object).at("spec").at("template").at("spec"))
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn frozen(spec: &Value) -> Value {
    let mut spec = spec.clone();
    MUTABLE.iter().for_each(|field| remove(&mut spec, field));
    spec
}
