//! CronJobs.

use object::cron;
use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::{At, non_negative};
use super::workload::{self, counts};
use super::{Context, Strategy, job};

pub(super) struct CronJob;

/// Jobs get the name and eleven characters.
const MAX_NAME: usize = 52;
const MAX_ZONE_PART: usize = 14;

impl Strategy for CronJob {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let root = At::root(object);
        let mut errors = validate_spec(&root.at("spec"), None);
        let name = root.at("metadata").at("name");
        if name.text().len() > MAX_NAME {
            errors.push(name.invalid(object::names::max_length(MAX_NAME)));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            return ErrorList::new();
        }
        validate_spec(&At::root(object).at("spec"), Some(&old["spec"]))
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        if cx.subresource == "status" {
            return Vec::new();
        }
        let spec = At::root(object).at("spec");
        let mut warnings: Vec<String> = workload::name_warning(object, old).into_iter().collect();
        warnings.extend(job::spec::warnings(cx, &spec.at("jobTemplate").at("spec"), object, old));
        if old.is_some() && names_zone(spec.at("schedule").text()) {
            // The doubled path is upstream's.
            warnings.push(
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
                 https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                    .to_owned(),
            );
        }
        warnings
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn names_zone(schedule: &str) -> bool {
    schedule.contains("TZ")
}

fn validate_spec(spec: &At<'_>, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    let zone = spec.at("timeZone");
    schedule(&spec.at("schedule"), &zone, old, &mut errors);
    non_negative(&spec.at("startingDeadlineSeconds"), &mut errors);
    if old.is_none_or(|old| old["timeZone"] != *zone.value) && zone.is_set() {
        time_zone(&zone, &mut errors);
    }
    concurrency(&spec.at("concurrencyPolicy"), &mut errors);
    let template = spec.at("jobTemplate").at("spec");
    job::spec::validate(&template, &mut errors);
    let (selector, manual) = (template.at("selector"), template.at("manualSelector"));
    if selector.is_set() {
        errors.push(selector.invalid("`selector` will be auto-generated"));
    }
    if manual.flag() {
        errors.push(manual.unsupported(&["nil", "false"]));
    }
    counts(spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], &mut errors);
    errors
}

fn schedule(at: &At<'_>, zone: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
        return;
    }
    if let Err(why) = cron::check(at.text()) {
        errors.push(at.invalid(why));
    }
    let had_zone = old.is_some_and(|old| names_zone(old["schedule"].as_str().unwrap_or_default()));
    if !names_zone(at.text()) {
        return;
    }
    if !had_zone {
        errors.push(at.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
    } else if zone.is_set() {
        errors.push(at.invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule"));
    }
}

fn time_zone(at: &At<'_>, errors: &mut ErrorList) {
    let zone = at.text();
    if zone.is_empty() {
        errors.push(at.invalid("timeZone must be nil or non-empty string"));
        return;
    }
    if !zone.split('/').all(is_zone_part) {
        errors.push(at.invalid(format!("unknown time zone {zone}")));
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        errors.push(at.invalid("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"));
    }
    if let Err(why) = cron::check_zone(zone) {
        errors.push(at.invalid(why));
    }
}

fn is_zone_part(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    !matches!(part, "." | "..")
        && !part.starts_with('-')
        && (1..=MAX_ZONE_PART).contains(&part.len())
        && part.bytes().all(allowed)
}

fn concurrency(at: &At<'_>, errors: &mut ErrorList) {
    const POLICIES: &[&str] = &["Allow", "Forbid", "Replace"];
    if at.is_empty() {
        errors.push(at.required(""));
    } else if !POLICIES.contains(&at.text()) {
        errors.push(Error::not_supported(&at.path, at.text(), POLICIES));
    }
}
