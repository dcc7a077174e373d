//! What a job is to do; the part that cron jobs have as well.

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::{failure, success};
use crate::strategy::field::At;
use crate::strategy::reference::domain_prefixed_path;
use crate::strategy::workload::{self, counts, template};
use crate::strategy::{Context, labels};

/// The most pods at a time, and failed indexes, of an indexed job.
const MAX_INDEXED: i64 = 100_000;
/// The same for a job with more than [`MANY`] completions.
const MAX_OF_MANY: i64 = 10_000;
const MANY: i64 = 100_000;
const MAX_MANAGED_BY: usize = 63;

const COUNTS: &[&str] = &[
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
];

/// The spec of a job, which selects its pods.
pub(super) fn validate_whole(spec: &At<'_>, errors: &mut ErrorList) {
    validate(spec, errors);
    let selector = spec.at("selector");
    if selector.is_set() {
        labels::selector(&selector, errors);
    } else {
        errors.push(selector.required(""));
    }
    if labels::is_readable(&selector) {
        workload::selects_own(&selector, &spec.at("template"), errors);
    }
}

/// All but the selector.
pub(in crate::strategy) fn validate(spec: &At<'_>, errors: &mut ErrorList) {
    counts(spec, COUNTS, errors);
    let (per_index, max_failed) = (spec.at("backoffLimitPerIndex"), spec.at("maxFailedIndexes"));
    if max_failed.is_set() && !per_index.is_set() {
        errors.push(per_index.required("when maxFailedIndexes is specified"));
    }
    managed_by(&spec.at("managedBy"), errors);
    completion_mode(spec, errors);
    if spec.at("podFailurePolicy").is_set() {
        failure::validate(spec, errors);
    }
    let success = spec.at("successPolicy");
    if success.is_set() && !is_indexed(spec) {
        errors.push(success.invalid_struct("batch.v1.SuccessPolicy", "requires indexed completion mode"));
    } else if success.is_set() {
        success::validate(spec, errors);
    }
    replacement(spec, errors);
    template(&spec.at("template"), errors);
    restart_policy(spec, errors);
}

/// What to say about a spec that is new or has changed.
pub(in crate::strategy) fn warnings(
    cx: &Context<'_>,
    spec: &At<'_>,
    object: &Value,
    old: Option<&Value>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let many = |field: &str, limit: i64| spec.at(field).number().is_some_and(|n| n > limit);
    let changed = cx.subresource != "status" && workload::is_changed(object, old);
    if changed && is_indexed(spec) && many("completions", MANY) && many("parallelism", MAX_OF_MANY) {
        warnings.push(format!(
            "{}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
            spec.path
        ));
    }
    warnings.extend(workload::warnings(cx, &spec.at("template"), object, old));
    warnings
}

pub(super) fn is_indexed(spec: &At<'_>) -> bool {
    spec.at("completionMode").text() == "Indexed"
}

fn managed_by(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() {
        domain_prefixed_path(at, errors);
        if at.text().len() > MAX_MANAGED_BY {
            errors.push(Error::too_long(&at.path, MAX_MANAGED_BY));
        }
    }
}

fn completion_mode(spec: &At<'_>, errors: &mut ErrorList) {
    let mode = spec.at("completionMode");
    match mode.text() {
        "Indexed" => indexed(spec, errors),
        "NonIndexed" => {}
        _ if mode.is_set() => errors.push(mode.unsupported(&["NonIndexed", "Indexed"])),
        _ => {}
    }
    if !mode.is_set() || mode.text() == "NonIndexed" {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"].map(|field| spec.at(field)) {
            if field.is_set() {
                errors.push(field.invalid("requires indexed completion mode"));
            }
        }
    }
}

fn indexed(spec: &At<'_>, errors: &mut ErrorList) {
    let (completions, parallelism) = (spec.at("completions"), spec.at("parallelism"));
    let max_failed = spec.at("maxFailedIndexes");
    let above = |at: &At<'_>, limit: i64| at.number().is_some_and(|n| n > limit);
    if !completions.is_set() {
        errors.push(completions.required("when completion mode is Indexed"));
    }
    if above(&parallelism, MAX_INDEXED) {
        let text = format!("must be less than or equal to {MAX_INDEXED} when completion mode is Indexed");
        errors.push(parallelism.invalid(text));
    }
    if completions.number().is_some_and(|all| above(&max_failed, all)) {
        errors.push(max_failed.invalid("must be less than or equal to completions"));
    }
    if above(&max_failed, MAX_INDEXED) {
        errors.push(max_failed.invalid(format!("must be less than or equal to {MAX_INDEXED}")));
    }
    if !above(&completions, MANY) || !spec.at("backoffLimitPerIndex").is_set() {
        return;
    }
    if !max_failed.is_set() {
        errors.push(max_failed.required(&format!("must be specified when completions is above {MANY}")));
    }
    for at in [&parallelism, &max_failed].into_iter().filter(|at| above(at, MAX_OF_MANY)) {
        errors.push(at.invalid(format!(
            "must be less than or equal to {MAX_OF_MANY} when completions are above {MANY} and used with backoff limit \
             per index"
        )));
    }
}

fn replacement(spec: &At<'_>, errors: &mut ErrorList) {
    let at = spec.at("podReplacementPolicy");
    let supported: &[&str] =
        if spec.at("podFailurePolicy").is_set() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if at.is_set() && !supported.contains(&at.text()) {
        errors.push(at.unsupported(supported));
    }
}

fn restart_policy(spec: &At<'_>, errors: &mut ErrorList) {
    let policy = spec.at("template").at("spec").at("restartPolicy");
    match policy.text() {
        "" | "Always" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        "Never" => {}
        "OnFailure" if !spec.at("podFailurePolicy").is_set() => {}
        "OnFailure" => errors.push(policy.invalid("only \"Never\" is supported when podFailurePolicy is specified")),
        _ => errors.push(policy.unsupported(&["OnFailure", "Never"])),
    }
}
