//! What a claim asks for.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{by_name, by_text, driver, each, each_once, fully_qualified_name, parameters, taint};
use crate::strategy::field::{At, required_name, supported, well_formed};

/// The most devices that one claim is given, and so the most requests.
pub(super) const MAX_RESULTS: usize = 32;
pub(super) const MAX_SELECTORS: usize = 32;
pub(super) const MAX_CONFIG: usize = 32;
const MAX_CONSTRAINTS: usize = 32;
const MAX_ALTERNATIVES: usize = 8;
/// In bytes.
const MAX_EXPRESSION: usize = 10 << 10;
const MAX_PARAMETERS: usize = 10 << 10;

/// A `ResourceClaimSpec`.
pub(super) fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    let devices = spec.at("devices");
    let requests = devices.at("requests");
    each_once(&requests, MAX_RESULTS, request, by_name, errors);
    let names = RequestNames { requests: &requests };
    each(&devices.at("constraints"), MAX_CONSTRAINTS, |at, errors| constraint(at, &names, errors), errors);
    let config = |at: &At<'_>, errors: &mut ErrorList| {
        request_references(&at.at("requests"), &names, errors);
        configuration(at, errors);
    };
    each(&devices.at("config"), MAX_CONFIG, config, errors);
}

/// The requests of a claim, as others refer to them.
pub(super) struct RequestNames<'a> {
    pub(super) requests: &'a At<'a>,
}

impl RequestNames<'_> {
    /// Whether there is a request `name`, or an alternative of it.
    fn has(&self, name: &str) -> bool {
        let (name, alternative) = name.split_once('/').map_or((name, None), |(name, below)| (name, Some(below)));
        let named = |at: &At<'_>, name: &str| at.value["name"] == name;
        self.requests.items().filter(|request| named(request, name)).any(|request| match alternative {
            None => true,
            Some(alternative) => request.at("firstAvailable").items().any(|below| named(&below, alternative)),
        })
    }
}

fn request(at: &At<'_>, errors: &mut ErrorList) {
    well_formed(&at.at("name"), names::dns1123_label, errors);
    let (exactly, alternatives) = (at.at("exactly"), at.at("firstAvailable"));
    match (exactly.is_set(), !alternatives.is_empty()) {
        (false, false) => {
            errors.push(at.required("exactly one of `exactly` or `firstAvailable` is required"));
        }
        (true, true) => {
            let detail = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(Error::invalid(&at.path, Value::Null, detail));
        }
        (true, false) => exact(&exactly, errors),
        (false, true) => {
            let alternative = |at: &At<'_>, errors: &mut ErrorList| {
                well_formed(&at.at("name"), names::dns1123_label, errors);
                exact(at, errors);
            };
            each_once(&alternatives, MAX_ALTERNATIVES, alternative, by_name, errors);
        }
    }
}

fn exact(at: &At<'_>, errors: &mut ErrorList) {
    required_name(&at.at("deviceClassName"), names::dns1123_subdomain, errors);
    each(&at.at("selectors"), MAX_SELECTORS, selector, errors);
    let (mode, count) = (at.at("allocationMode"), at.at("count"));
    let number = count.number().unwrap_or_default();
    match mode.text() {
        "All" if number != 0 => {
            let detail = "must not be specified when allocationMode is 'All'";
            errors.push(Error::invalid(&count.path, number, detail));
        }
        "ExactCount" if number <= 0 => {
            errors.push(Error::invalid(&count.path, number, "must be greater than zero"));
        }
        _ => supported(&mode, &["All", "ExactCount"], errors),
    }
    at.at("tolerations").items().for_each(|toleration| taint::toleration(&toleration, errors));
}

/// A `DeviceSelector`; its expression is not compiled.
pub(super) fn selector(at: &At<'_>, errors: &mut ErrorList) {
    let cel = at.at("cel");
    if !cel.is_set() {
        errors.push(cel.required(""));
    } else if cel.at("expression").text().len() > MAX_EXPRESSION {
        errors.push(Error::too_long(&cel.at("expression").path, MAX_EXPRESSION));
    }
}

fn constraint(at: &At<'_>, names: &RequestNames<'_>, errors: &mut ErrorList) {
    request_references(&at.at("requests"), names, errors);
    let (matching, distinct) = (at.at("matchAttribute"), at.at("distinctAttribute"));
    if matching.is_set() {
        fully_qualified_name(&matching, errors);
    } else if distinct.is_set() {
        fully_qualified_name(&distinct, errors);
    } else {
        let detail =
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
        errors.push(at.required(detail));
    }
}

/// A list of requests of this claim.
pub(super) fn request_references(at: &At<'_>, names: &RequestNames<'_>, errors: &mut ErrorList) {
    each_once(at, MAX_RESULTS, |at, errors| request_reference(at, names, errors), by_text, errors);
}

pub(super) fn request_reference(at: &At<'_>, names: &RequestNames<'_>, errors: &mut ErrorList) {
    let detail =
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    let segments: Vec<&str> = at.text().split('/').collect();
    if segments.len() > 2 {
        errors.push(Error::invalid(&at.path, at.text(), detail));
        return;
    }
    for segment in segments {
        errors.extend_invalid(&at.path, segment, names::dns1123_label(segment));
    }
    if !names.has(at.text()) {
        errors.push(Error::invalid(&at.path, at.text(), detail));
    }
}

/// Parameters for a driver.
pub(super) fn configuration(at: &At<'_>, errors: &mut ErrorList) {
    let opaque = at.at("opaque");
    if !opaque.is_set() {
        errors.push(opaque.required(""));
        return;
    }
    driver(&opaque.at("driver"), errors);
    parameters(&opaque.at("parameters"), MAX_PARAMETERS, errors);
}
