//! Probes and lifecycle handlers.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, non_negative, one_of, port, port_or_name, positive, required, well_formed};

const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
const HOOKS: &[&str] = &["exec", "httpGet", "tcpSocket", "sleep"];

pub(super) fn validate(container: &At<'_>, errors: &mut ErrorList) {
    for (name, once) in [("livenessProbe", true), ("readinessProbe", false), ("startupProbe", true)] {
        let probe = container.at(name);
        if !probe.is_set() {
            continue;
        }
        validate_probe(&probe, errors);
        let threshold = probe.at("successThreshold");
        if once && threshold.number().is_some_and(|n| n != 1) {
            errors.push(threshold.invalid("must be 1"));
        }
        let grace = probe.at("terminationGracePeriodSeconds");
        if name == "readinessProbe" && grace.is_set() {
            errors.push(grace.invalid("must not be set for readinessProbes"));
        }
    }
}

pub(super) fn validate_lifecycle(container: &At<'_>, errors: &mut ErrorList) {
    let lifecycle = container.at("lifecycle");
    for name in ["postStart", "preStop"] {
        let hook = lifecycle.at(name);
        if hook.is_set() {
            handler(&hook, HOOKS, errors);
        }
    }
}

fn validate_probe(probe: &At<'_>, errors: &mut ErrorList) {
    handler(probe, HANDLERS, errors);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        non_negative(&probe.at(field), errors);
    }
    positive(&probe.at("terminationGracePeriodSeconds"), errors);
}

/// Exactly one way to ask.
fn handler(at: &At<'_>, kinds: &[&str], errors: &mut ErrorList) {
    let mut present = at.present(kinds);
    let Some(first) = present.next() else {
        errors.push(at.required("must specify a handler type"));
        return;
    };
    action(&at.at(first), first, errors);
    errors.extend(present.map(|kind| at.at(kind).forbidden("may not specify more than 1 handler type")));
}

fn action(at: &At<'_>, kind: &str, errors: &mut ErrorList) {
    match kind {
        "exec" => drop(required(&at.at("command"), errors)),
        "httpGet" => http_get(at, errors),
        "tcpSocket" => port_or_name(&at.at("port"), errors),
        "grpc" => port(&at.at("port"), errors),
        _ => {
            if at.at("seconds").number().is_some_and(|seconds| seconds < 0) {
                let detail = "must be non-negative and less than terminationGracePeriodSeconds";
                errors.push(Error::invalid(&at.path, at.at("seconds").value.clone(), detail));
            }
        }
    }
}

fn http_get(at: &At<'_>, errors: &mut ErrorList) {
    required(&at.at("path"), errors);
    port_or_name(&at.at("port"), errors);
    one_of(&at.at("scheme"), &["HTTP", "HTTPS"], errors);
    for header in at.at("httpHeaders").items() {
        well_formed(&header.at("name"), names::http_header_name, errors);
    }
}
