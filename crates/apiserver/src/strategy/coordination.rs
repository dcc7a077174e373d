//! The kinds of `coordination.k8s.io`: leases, and candidates for them.

use object::field::{Error, ErrorList};
use object::names;
use semver::Version;
use serde_json::Value;

use super::field::{At, immutable, non_negative, positive, remove};
use super::{Context, Strategy};

pub(super) struct Lease;

/// How the best candidate is found.
const OLDEST: &str = "OldestEmulationVersion";

impl Strategy for Lease {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        drop_disabled(object, None);
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        drop_disabled(object, Some(old));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        positive(&spec.at("leaseDurationSeconds"), &mut errors);
        non_negative(&spec.at("leaseTransitions"), &mut errors);
        let (way, preferred) = (spec.at("strategy"), spec.at("preferredHolder"));
        if way.is_set() {
            strategy(&way, &mut errors);
        }
        if !preferred.is_empty() && way.is_empty() {
            errors.push(preferred.forbidden("may only be specified if `strategy` is defined"));
        }
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

/// Coordinated elections are behind a gate that is closed: their fields stay only where they have been.
fn drop_disabled(object: &mut Value, old: Option<&Value>) {
    for field in ["strategy", "preferredHolder"] {
        if !object["spec"][field].is_null() && old.is_none_or(|old| old["spec"][field].is_null()) {
            remove(&mut object["spec"], field);
        }
    }
}

pub(super) struct LeaseCandidate;

impl Strategy for LeaseCandidate {
    fn check_name(&self, name: &str, _: bool) -> Vec<String> {
        names::config_map_key(name)
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let (lease, way) = (spec.at("leaseName"), spec.at("strategy"));
        if lease.is_empty() {
            errors.push(lease.required(""));
        }
        let emulated = versions(&spec, &mut errors);
        if way.is_empty() {
            errors.push(way.required(""));
            return errors;
        }
        if way.text() == OLDEST && emulated.is_none_or(|version| version == Version::new(0, 0, 0)) {
            let text = "must be specified when `strategy` is 'OldestEmulationVersion'";
            errors.push(spec.at("emulationVersion").required(text));
        }
        strategy(&way, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        immutable(&At::root(object).at("spec").at("leaseName"), &old["spec"]["leaseName"], &mut errors);
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

/// Checks both versions of a candidate. Returns the one that it emulates.
fn versions(spec: &At<'_>, errors: &mut ErrorList) -> Option<Version> {
    let (emulated, binary) = (spec.at("emulationVersion"), spec.at("binaryVersion"));
    let read = |at: &At<'_>, errors: &mut ErrorList| {
        let version = Version::parse(at.text()).ok();
        if version.is_none() && !at.is_empty() {
            errors.push(at.invalid("must be a valid semantic version"));
        }
        version
    };
    let older = read(&emulated, errors);
    if binary.is_empty() {
        errors.push(binary.required(""));
    }
    let newer = read(&binary, errors);
    let zero = || Version::new(0, 0, 0);
    let both = !emulated.is_empty() && !binary.is_empty();
    if both && newer.unwrap_or_else(zero).cmp_precedence(&older.clone().unwrap_or_else(zero)).is_lt() {
        errors.push(binary.invalid("must be greater than or equal to `emulationVersion`"));
    }
    older
}

/// One that is known, or one with a domain. The field is named twice in messages, as upstream does.
fn strategy(at: &At<'_>, errors: &mut ErrorList) {
    let (path, text) = (at.path.child("strategy"), at.text());
    if text.contains('/') {
        errors.extend_invalid(&path, text, names::qualified_name(text));
    } else if text != OLDEST {
        errors.push(Error::not_supported(&path, text, &[OLDEST]));
    }
}
