//! Probes and lifecycle handlers.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, non_negative, port, port_or_name, positive, well_formed};
use super::super::rules::{self, Rule, Rules};

const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
const HOOKS: &[&str] = &["exec", "httpGet", "tcpSocket", "sleep"];

const NUMBERS: Rules = &[
    ("initialDelaySeconds", Rule::Holds(non_negative)),
    ("timeoutSeconds", Rule::Holds(non_negative)),
    ("periodSeconds", Rule::Holds(non_negative)),
    ("successThreshold", Rule::Holds(non_negative)),
    ("failureThreshold", Rule::Holds(non_negative)),
    ("terminationGracePeriodSeconds", Rule::Holds(positive)),
];

const HTTP: Rules = &[
    ("path", Rule::Required),
    ("port", Rule::Holds(port_or_name)),
    ("scheme", Rule::OneOf(&["HTTP", "HTTPS"])),
    ("httpHeaders", Rule::Holds(headers)),
];

/// The hooks and the probes of a container.
pub(super) fn validate(container: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    let (lifecycle, grace) = (container.at("lifecycle"), spec.at("terminationGracePeriodSeconds").number());
    for hook in lifecycle.present(&["postStart", "preStop"]) {
        handler(&lifecycle.at(hook), HOOKS, grace, errors);
    }
    for name in container.present(&["livenessProbe", "readinessProbe", "startupProbe"]) {
        let probe = container.at(name);
        handler(&probe, HANDLERS, grace, errors);
        rules::check(&probe, NUMBERS, errors);
        let (threshold, grace) = (probe.at("successThreshold"), probe.at("terminationGracePeriodSeconds"));
        match name {
            "readinessProbe" if grace.is_set() => errors.push(grace.invalid("must not be set for readinessProbes")),
            "readinessProbe" => {}
            _ if threshold.number() != Some(1) => errors.push(threshold.invalid("must be 1")),
            _ => {}
        }
    }
}

/// Exactly one way to ask.
fn handler(at: &At<'_>, kinds: &[&str], grace: Option<i64>, errors: &mut ErrorList) {
    let mut present = at.present(kinds);
    let Some(first) = present.next() else {
        errors.push(at.required("must specify a handler type"));
        return;
    };
    action(&at.at(first), first, grace, errors);
    errors.extend(present.map(|kind| at.at(kind).forbidden("may not specify more than 1 handler type")));
}

fn action(at: &At<'_>, kind: &str, grace: Option<i64>, errors: &mut ErrorList) {
    match kind {
        "exec" => rules::check(at, &[("command", Rule::Required)], errors),
        "httpGet" => rules::check(at, HTTP, errors),
        "tcpSocket" => port_or_name(&at.at("port"), errors),
        "grpc" => port(&at.at("port"), errors),
        _ => {
            let (seconds, grace) = (at.at("seconds").number().unwrap_or_default(), grace.unwrap_or(i64::MAX));
            if !(0..=grace).contains(&seconds) {
                let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                errors.push(Error::invalid(&at.path, seconds, detail));
            }
        }
    }
}

fn headers(list: &At<'_>, errors: &mut ErrorList) {
    for header in list.items() {
        well_formed(&header.at("name").shown(list.path.clone()), names::http_header_name, errors);
    }
}
