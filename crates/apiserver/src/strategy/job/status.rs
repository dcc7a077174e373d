//! How far a job is, as its controller may write it.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::{indexes, spec};
use crate::strategy::field::At;
use crate::strategy::status::{has, is_true};
use crate::strategy::workload::counts;

/// What an update changes of the status.
struct Changes<'a> {
    new: &'a Value,
    old: &'a Value,
}

impl Changes<'_> {
    fn field(&self, field: &str) -> bool {
        self.new["status"][field] != self.old["status"][field]
    }

    fn condition(&self, kind: &str) -> bool {
        is_true(self.new, kind) != is_true(self.old, kind)
    }

    fn finished(&self) -> bool {
        finished(self.new) != finished(self.old)
    }
}

/// Conditions that exclude each other: the message follows from them.
const EXCLUSIVE: &[(&str, &str)] = &[("Complete", "Failed"), ("Complete", "FailureTarget")];

pub(super) fn validate(object: &Value, old: &Value) -> ErrorList {
    let (status, mut errors) = (At::root(object).at("status"), ErrorList::new());
    let changes = Changes { new: object, old };
    counts(&status, &["active", "succeeded", "failed", "ready", "terminating"], &mut errors);
    uncounted(&status.at("uncountedTerminatedPods"), &mut errors);
    for (one, other) in EXCLUSIVE {
        let changed = changes.condition(one) || changes.condition(other);
        if changed && is_true(object, one) && is_true(object, other) {
            let text = format!("cannot set {one}=True and {other}=true conditions");
            errors.push(Error::invalid_unshown(&status.path.child("conditions"), text));
        }
    }
    times(&changes, &status, &mut errors);
    outcome(&changes, &status, &mut errors);
    finish(&changes, &status, &mut errors);
    listed(&changes, &status, &mut errors);
    success(object, &status, &mut errors);
    transition(&changes, &status, &mut errors);
    errors
}

fn finished(object: &Value) -> bool {
    is_true(object, "Complete") || is_true(object, "Failed")
}

fn uncounted(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for uid in at.at("succeeded").items().chain(at.at("failed").items()) {
        if uid.is_empty() {
            errors.push(uid.invalid("must not be empty"));
        } else if !seen.insert(uid.text()) {
            errors.push(uid.duplicate());
        }
    }
}

fn times(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    let (start, end) = (status.at("startTime"), status.at("completionTime"));
    let complete = is_true(changes.new, "Complete");
    let completed = changes.condition("Complete") || changes.field("completionTime");
    if completed && end.is_set() && !complete {
        errors.push(end.invalid("cannot set completionTime when there is no Complete=True condition"));
    }
    if completed && !end.is_set() && complete {
        errors.push(end.required("completionTime is required for Complete jobs"));
    }
    let moved = changes.field("startTime") || changes.field("completionTime");
    let before = object::time::parse(end.text()) < object::time::parse(start.text());
    if moved && start.is_set() && end.is_set() && before {
        errors.push(end.invalid("must be equal to or after `startTime`"));
    }
}

fn outcome(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    let is = |kind: &str| is_true(changes.new, kind);
    let path = status.path.child("conditions");
    let fails = changes.condition("Failed") || changes.field("failedIndexes");
    if fails && is("Failed") && !is("FailureTarget") {
        let text = "cannot set Failed=True condition without the FailureTarget=true condition";
        errors.push(Error::invalid_unshown(&path, text));
    }
    let succeeds = changes.condition("Complete") || changes.condition("SuccessCriteriaMet");
    if succeeds && is("Complete") && !is("SuccessCriteriaMet") {
        let text = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
        errors.push(Error::invalid_unshown(&path, text));
    }
}

fn finish(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    if !finished(changes.new) {
        return;
    }
    let spec = &changes.new["spec"];
    let (active, start) = (status.at("active"), status.at("startTime"));
    if (changes.finished() || changes.field("active")) && active.number().is_some_and(|n| n > 0) {
        errors.push(active.invalid("active>0 is invalid for finished job"));
    }
    let idle = spec["suspend"] == true && spec["completions"] == 0;
    if (changes.finished() || changes.field("startTime")) && !idle && !start.is_set() {
        errors.push(start.required("startTime is required for finished job"));
    }
    let pods = status.at("uncountedTerminatedPods");
    let some = !pods.at("failed").is_empty() || !pods.at("succeeded").is_empty();
    if (changes.finished() || changes.field("uncountedTerminatedPods")) && some {
        errors.push(pods.invalid_struct("batch.v1.UncountedTerminatedPods", "must be empty for finished job"));
    }
}

fn listed(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    let spec = At::root(changes.new).at("spec");
    let (completed, failed) = (status.at("completedIndexes"), status.at("failedIndexes"));
    let (completes, fails) = (changes.field("completedIndexes"), changes.field("failedIndexes"));
    let (completions, per_index) = (spec.at("completions").number(), spec.at("backoffLimitPerIndex").is_set());
    let well_formed = |at: &At<'_>, name: &str, errors: &mut ErrorList| {
        let checked = completions.map(|completions| indexes::count(at.text(), completions));
        if let Some(Err(why)) = checked {
            errors.push(Error::invalid(&at.path, at.text(), format!("error parsing {name}: {why}")));
        }
    };
    if completes {
        well_formed(&completed, "completedIndexes", errors);
    }
    if fails && per_index && failed.is_set() {
        well_formed(&failed, "failedIndexes", errors);
    }
    if completes && !completed.is_empty() && !spec::is_indexed(&spec) {
        let text = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.push(completed.invalid(text));
    }
    if fails && !per_index && failed.is_set() {
        errors.push(failed.invalid("cannot set non-null failedIndexes when backoffLimitPerIndex is null"));
    }
    let shared = completions.and_then(|completions| indexes::overlap(completed.text(), failed.text(), completions));
    if let Some(index) = shared.filter(|_| completes || fails) {
        errors.push(failed.invalid(format!("failedIndexes and completedIndexes overlap at index: {index}")));
    }
    pods(changes, status, errors);
}

fn pods(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    let (terminating, ready) = (status.at("terminating"), status.at("ready"));
    let ends = changes.finished() || changes.field("terminating");
    if ends && finished(changes.new) && terminating.number().is_some_and(|n| n > 0) {
        errors.push(terminating.invalid("terminating>0 is invalid for finished job"));
    }
    let active = status.at("active").number().unwrap_or(0);
    if (changes.field("ready") || changes.field("active")) && ready.number().is_some_and(|n| n > active) {
        errors.push(ready.invalid("cannot set more ready pods than active"));
    }
}

fn success(object: &Value, status: &At<'_>, errors: &mut ErrorList) {
    let is = |kind: &str| is_true(object, kind);
    let path = status.path.child("conditions");
    for other in ["Failed", "FailureTarget"] {
        if is("SuccessCriteriaMet") && is(other) {
            let text = format!("cannot set SuccessCriteriaMet=True and {other}=true conditions");
            errors.push(Error::invalid_unshown(&path, text));
        }
    }
    if !object["spec"]["successPolicy"].is_null() && !is("SuccessCriteriaMet") && is("Complete") {
        let text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
        errors.push(Error::invalid_unshown(&path, text));
    }
}

fn transition(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    let (new, old) = (changes.new, changes.old);
    let path = status.path.child("conditions");
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if is_true(old, kind) && !is_true(new, kind) {
            let text = format!("cannot disable the terminal {kind}=True condition");
            errors.push(Error::invalid_unshown(&path, text));
        }
    }
    counters(changes, status, errors);
    let (start, end) = (status.at("startTime"), status.at("completionTime"));
    if end.is_set() && !old["status"]["completionTime"].is_null() && changes.field("completionTime") {
        errors.push(end.invalid("field is immutable"));
    }
    let resumes = is_true(old, "Suspended") && has(new, "Suspended", "False");
    let started = !old["status"]["startTime"].is_null() && changes.field("startTime");
    if started && !resumes && new["spec"]["suspend"] != true {
        errors.push(start.invalid("field is immutable for unsuspended job once set"));
    }
    if is_true(old, "SuccessCriteriaMet") && !is_true(new, "SuccessCriteriaMet") {
        errors.push(Error::invalid_unshown(&path, "cannot disable the SuccessCriteriaMet=True condition"));
    }
    if is_true(old, "Complete") && !is_true(old, "SuccessCriteriaMet") && is_true(new, "SuccessCriteriaMet") {
        let text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        errors.push(Error::invalid_unshown(&path, text));
    }
}

fn counters(changes: &Changes<'_>, status: &At<'_>, errors: &mut ErrorList) {
    let spec = &changes.new["spec"];
    let elastic = spec["completionMode"] == "Indexed" && spec["completions"] == spec["parallelism"];
    for (field, fixed) in [("failed", true), ("succeeded", !elastic)] {
        let (new, old) = (status.at(field).number(), changes.old["status"][field].as_i64());
        if fixed && new.unwrap_or(0) < old.unwrap_or(0) {
            let text = format!("cannot decrease the {field} counter");
            errors.push(Error::invalid(&status.path.child(field), new.unwrap_or(0), text));
        }
    }
}
