//! StatefulSets.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

use super::field::{At, non_negative, optional_name, remove};
use super::workload::{
    self, amount, counts, int_or_percent, not_above_hundred_percent, restarts_always, selects_own, template,
};
use super::{Context, Strategy, claim, labels, without_final_dash};

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

const FROZEN: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                      'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                      'minReadySeconds' are forbidden";

const COUNTS: &[&str] = &[
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
];

const BOUNDS: &[(&str, &str, &str)] = &[
    ("readyReplicas", "replicas", "cannot be greater than status.replicas"),
    ("currentReplicas", "replicas", "cannot be greater than status.replicas"),
    ("updatedReplicas", "replicas", "cannot be greater than status.replicas"),
    ("availableReplicas", "replicas", "cannot be greater than status.replicas"),
    ("availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas"),
];

/// What is let be because it has been so before.
#[derive(Clone, Copy, Default)]
struct Lenience {
    update: bool,
    template: bool,
}

impl Strategy for StatefulSet {
    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::dns1123_label(&without_final_dash(name, prefix))
    }

    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        drop_disabled(object, None);
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        drop_disabled(object, Some(old));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        spec(&At::root(object).at("spec"), Lenience::default())
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            let (status, mut errors) = (At::root(object).at("status"), ErrorList::new());
            workload::status_counts(&status, COUNTS, BOUNDS, &mut errors);
            workload::not_decremented(&status.at("collisionCount"), &old["status"]["collisionCount"], &mut errors);
            return errors;
        }
        let update = Lenience { update: true, template: false };
        let was_wrong = !spec(&At::root(old).at("spec"), update).is_empty();
        let mut errors = spec(&At::root(object).at("spec"), Lenience { template: was_wrong, ..update });
        if frozen(&object["spec"]) != frozen(&old["spec"]) {
            errors.push(Error::forbidden(&Path::new("spec"), FROZEN));
        }
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let spec = At::root(object).at("spec");
        let mut warnings = workload::warnings(cx, &spec.at("template"), object, old);
        if cx.subresource == "status" {
            return warnings;
        }
        for template in spec.at("volumeClaimTemplates").items() {
            // Upstream spells the field in another way on updates.
            let field = if old.is_some() { ".Spec" } else { "" };
            let path = Path::new(&format!("{}{field}", template.path));
            claim::warnings(&template.at("spec").shown(path), &mut warnings);
        }
        if spec.at("revisionHistoryLimit").number().is_some_and(|limit| limit < 0) {
            warnings.push(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is \
                 recommended"
                    .to_owned(),
            );
        }
        warnings
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

/// `maxUnavailable` is behind a gate that is closed: it stays only where it has been.
fn drop_disabled(object: &mut Value, old: Option<&Value>) {
    let in_use = |object: &Value| !object["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"].is_null();
    if in_use(object) && !old.is_some_and(in_use) {
        remove(&mut object["spec"]["updateStrategy"]["rollingUpdate"], "maxUnavailable");
    }
}

fn spec(spec: &At<'_>, lenience: Lenience) -> ErrorList {
    let mut errors = ErrorList::new();
    let policy = spec.at("podManagementPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        "OrderedReady" | "Parallel" => {}
        _ => errors.push(policy.invalid("must be 'OrderedReady' or 'Parallel'")),
    }
    update_strategy(&spec.at("updateStrategy"), &mut errors);
    retention(&spec.at("persistentVolumeClaimRetentionPolicy"), &mut errors);
    if !lenience.update {
        for template in spec.at("volumeClaimTemplates").items() {
            claim::spec(&template.at("spec"), None, &mut errors);
        }
    }
    counts(spec, &["replicas", "minReadySeconds"], &mut errors);
    non_negative(&spec.at("ordinals").at("start"), &mut errors);
    if !lenience.update {
        optional_name(&spec.at("serviceName"), names::dns1123_label, &mut errors);
    }
    workload::selector(spec, "statefulset", &mut errors);
    let selector = spec.at("selector");
    if labels::is_readable(&selector) {
        own_template(spec, &selector, lenience, &mut errors);
    } else {
        errors.push(selector.invalid(""));
    }
    restarts_always(&spec.at("template"), "StatefulSet", &mut errors);
    errors
}

fn update_strategy(at: &At<'_>, errors: &mut ErrorList) {
    let rolling = at.at("rollingUpdate");
    match at.at("type").text() {
        "" => errors.push(at.required("")),
        "OnDelete" if rolling.is_set() => errors.push(rolling.invalid_struct(
            "apps.v1.RollingUpdateStatefulSetStrategy",
            "only allowed for updateStrategy 'RollingUpdate'",
        )),
        "OnDelete" => {}
        "RollingUpdate" => {
            non_negative(&rolling.at("partition"), errors);
            let unavailable = rolling.at("maxUnavailable");
            if unavailable.is_set() {
                int_or_percent(&unavailable, errors);
                if amount(&unavailable) == 0 {
                    errors.push(unavailable.invalid("cannot be 0"));
                }
                not_above_hundred_percent(&unavailable, errors);
            }
        }
        _ => {
            errors.push(at.invalid_struct("apps.v1.StatefulSetUpdateStrategy", "must be 'RollingUpdate' or 'OnDelete'"))
        }
    }
}

fn retention(at: &At<'_>, errors: &mut ErrorList) {
    for when in ["whenDeleted", "whenScaled"].map(|field| at.at(field)) {
        if at.is_set() && !["Retain", "Delete"].contains(&when.text()) {
            errors.push(Error::not_supported(&when.path, when.text(), &["Retain", "Delete"]));
        }
    }
}

/// The template as its pods will have it: with the volumes of the claims, and names that the controller gives.
fn own_template(spec: &At<'_>, selector: &At<'_>, lenience: Lenience, errors: &mut ErrorList) {
    let at = spec.at("template");
    selects_own(selector, &at, errors);
    if !lenience.template {
        let completed = completed(spec);
        template(&At { value: &completed, path: at.path.clone() }, errors);
    }
}

fn completed(spec: &At<'_>) -> Value {
    let mut template = spec.at("template").value.clone();
    let claims: Vec<&str> = spec
        .at("volumeClaimTemplates")
        .items()
        .map(|claim| claim.value["metadata"]["name"].as_str().unwrap_or(""))
        .collect();
    let own = template["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let claimed = claims.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    let others = own.into_iter().filter(|volume| !claims.contains(&volume["name"].as_str().unwrap_or("")));
    let volumes: Vec<Value> = claimed.chain(others).collect();
    for field in ["subdomain", "hostname"] {
        remove(&mut template["spec"], field);
    }
    if !claims.is_empty() {
        template["spec"]["volumes"] = volumes.into();
    }
    template
}

fn frozen(spec: &Value) -> Value {
    let mut spec = spec.clone();
    MUTABLE.iter().for_each(|field| remove(&mut spec, field));
    spec
}
