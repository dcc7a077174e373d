//! What an autoscaler watches.

use object::Quantity;
use object::field::{Error, ErrorList};
use object::names;

use super::{Api, referenced};
use crate::strategy::field::{At, well_formed};
use crate::strategy::resources;

/// Type of a metric and the field that describes it, in the order in which upstream looks at them.
const SOURCES: &[(&str, &str)] = &[
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

pub(super) fn validate(at: &At<'_>, api: Api, errors: &mut ErrorList) {
    let kind = at.at("type");
    let source = SOURCES.iter().find(|(name, _)| *name == kind.text()).map(|(_, field)| *field);
    if kind.is_empty() {
        errors.push(kind.required("must specify a metric source type"));
    }
    let unsupported = || Error::not_supported(&kind.path, kind.text(), TYPES);
    if source.is_none() {
        errors.push(unsupported());
    }
    let present: Vec<&str> = SOURCES.iter().map(|(_, field)| *field).filter(|field| at.at(field).is_set()).collect();
    if let Some(first) = present.first() {
        described(first, &at.at(first), api, errors);
    }
    match source {
        Some(field) if !at.at(field).is_set() => {
            errors.push(at.at(field).required("must populate information for the given metric source"));
        }
        Some(_) => {}
        None => errors.push(unsupported()),
    }
    if present.len() > 1 {
        for other in present.iter().filter(|field| Some(**field) != source) {
            errors.push(at.at(other).forbidden("must populate the given metric source only"));
        }
    }
}

fn described(source: &str, at: &At<'_>, api: Api, errors: &mut ErrorList) {
    match source {
        "object" => {
            referenced(&at.at("describedObject"), api, errors);
            identified(at, errors);
            either(at, "must set either a target value or averageValue", errors);
        }
        "external" => {
            identified(at, errors);
            either(at, "must set either a target value for metric or a per-pod target", errors);
            let (value, average) = (at.at("target").at("value"), at.at("target").at("averageValue"));
            if value.is_set() && average.is_set() {
                errors.push(value.forbidden("may not set both a target value for metric and a per-pod target"));
            }
        }
        "pods" => {
            identified(at, errors);
            let average = at.at("target").at("averageValue");
            if !average.is_set() {
                errors.push(average.required("must specify a positive target averageValue"));
            }
        }
        _ => resource(at, source == "containerResource", errors),
    }
}

/// The metric's name and its target.
fn identified(at: &At<'_>, errors: &mut ErrorList) {
    let name = at.at("metric").at("name");
    if name.is_empty() {
        errors.push(name.required("must specify a metric name"));
    } else {
        well_formed(&name, names::path_segment, errors);
    }
    target(&at.at("target"), errors);
}

fn either(at: &At<'_>, detail: &str, errors: &mut ErrorList) {
    let (value, average) = (at.at("target").at("value"), at.at("target").at("averageValue"));
    if !value.is_set() && !average.is_set() {
        errors.push(average.required(detail));
    }
}

fn resource(at: &At<'_>, of_container: bool, errors: &mut ErrorList) {
    let (name, container, goal) = (at.at("name"), at.at("container"), at.at("target"));
    if name.is_empty() {
        errors.push(name.required("must specify a resource name"));
    } else if of_container {
        resources::container_name(&name, name.text(), errors);
    }
    if of_container && container.is_empty() {
        errors.push(container.required("must specify a container"));
    } else if of_container {
        well_formed(&container, names::dns1123_label, errors);
    }
    target(&goal, errors);
    let (utilization, average) = (goal.at("averageUtilization"), goal.at("averageValue"));
    match (utilization.is_set(), average.is_set()) {
        (false, false) => {
            errors.push(utilization.required("must set either a target raw value or a target utilization"));
        }
        (true, true) => errors.push(average.forbidden("may not set both a target raw value and a target utilization")),
        _ => {}
    }
}

fn target(at: &At<'_>, errors: &mut ErrorList) {
    let kind = at.at("type");
    if kind.is_empty() {
        errors.push(kind.required("must specify a metric target type"));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind.text()) {
        let text = "must be either Utilization, Value, or AverageValue";
        errors.push(Error::invalid(&kind.path, kind.text(), text));
    }
    for amount in [at.at("value"), at.at("averageValue")] {
        let negligible = |quantity: Quantity| quantity.is_zero() || quantity.is_negative();
        if amount.is_set() && Quantity::parse(amount.text()).is_ok_and(negligible) {
            errors.push(amount.invalid("must be positive"));
        }
    }
    let utilization = at.at("averageUtilization");
    if utilization.number().is_some_and(|percent| percent < 1) {
        errors.push(utilization.invalid("must be greater than 0"));
    }
}
