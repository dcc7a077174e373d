//! Where a pod may run: tolerations, affinity, gates.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, well_formed};
use super::super::labels;
use super::options::Options;
use super::restart::supported;
use super::spread;

pub(in super::super) const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(in super::super) fn tolerations(list: &At<'_>, options: &Options, errors: &mut ErrorList) {
    for toleration in list.items() {
        let (key, operator, effect) = (toleration.at("key"), toleration.at("operator"), toleration.at("effect"));
        if !key.is_empty() {
            well_formed(&key, names::qualified_name, errors);
        } else if operator.text() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(Error::invalid(&operator.path, operator.text(), detail));
        }
        if toleration.at("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(Error::invalid(&effect.path, effect.text(), detail));
        }
        tolerated(&operator, &toleration.at("value"), options, errors);
        if !effect.is_empty() {
            supported(&effect, EFFECTS, errors);
        }
    }
}

/// Upstream names the operator where it means the value.
fn tolerated(operator: &At<'_>, value: &At<'_>, options: &Options, errors: &mut ErrorList) {
    match operator.text() {
        "" | "Equal" => {
            let messages = names::label_value(value.text());
            if !messages.is_empty() {
                errors.push(Error::invalid(&operator.path, value.text(), messages.join(";")));
            }
        }
        "Exists" if !value.is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            errors.push(Error::invalid(&operator.path, value.text(), detail));
        }
        "Exists" => {}
        "Lt" | "Gt" if options.comparing_tolerations => {
            if value.text().parse::<i64>().is_err() {
                errors.push(value.invalid("must be a decimal integer"));
            }
        }
        "Lt" | "Gt" => errors.push(operator.unsupported(&["Equal", "Exists", "Lt", "Gt"])),
        _ => errors.push(operator.unsupported(&["Equal", "Exists"])),
    }
}

pub(super) fn affinity(at: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let nodes = at.at("nodeAffinity");
    if nodes.at(REQUIRED).is_set() {
        node_selector(&nodes.at(REQUIRED), options.node_label_values, errors);
    }
    for preferred in nodes.at(PREFERRED).items() {
        weight(&preferred, errors);
        node_term(&preferred.at("preference"), true, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = at.at(kind);
        pods.at(REQUIRED).items().for_each(|term| pod_term(&term, options, errors));
        for preferred in pods.at(PREFERRED).items() {
            weight(&preferred, errors);
            pod_term(&preferred.at("podAffinityTerm"), options, errors);
        }
    }
}

/// Terms about other pods.
pub(super) fn pod_terms<'a>(affinity: &At<'a>) -> impl Iterator<Item = At<'a>> {
    let of = |pods: At<'a>| {
        let preferred = pods.at(PREFERRED).items().map(|term| term.at("podAffinityTerm"));
        pods.at(REQUIRED).items().chain(preferred).collect::<Vec<_>>()
    };
    of(affinity.at("podAffinity")).into_iter().chain(of(affinity.at("podAntiAffinity")))
}

/// The selectors of terms about other pods.
pub(super) fn pod_selectors(affinity: &At<'_>, errors: &mut ErrorList) {
    for term in pod_terms(affinity) {
        labels::selector(&term.at("labelSelector"), errors);
        labels::selector(&term.at("namespaceSelector"), errors);
    }
}

/// The values of labels that nodes must have.
pub(super) fn node_values(affinity: &At<'_>, errors: &mut ErrorList) {
    let terms = affinity.at("nodeAffinity").at(REQUIRED).at("nodeSelectorTerms");
    let values = terms.items().flat_map(|t| t.at("matchExpressions").items()).flat_map(|e| e.at("values").items());
    values.for_each(|value| well_formed(&value, names::label_value, errors));
}

/// A `NodeSelector`. `any_values` lets values pass that no label can have.
pub(in super::super) fn node_selector(at: &At<'_>, any_values: bool, errors: &mut ErrorList) {
    let terms = at.at("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    terms.items().for_each(|term| node_term(&term, any_values, errors));
}

fn node_term(at: &At<'_>, any_values: bool, errors: &mut ErrorList) {
    at.at("matchExpressions").items().for_each(|expression| node_label(&expression, any_values, errors));
    at.at("matchFields").items().for_each(|field| node_field(&field, errors));
}

fn node_label(at: &At<'_>, any_values: bool, errors: &mut ErrorList) {
    let (operator, values) = (at.at("operator"), at.at("values"));
    match (operator.text(), values.items().count()) {
        ("In" | "NotIn", 0) => errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'")),
        ("Exists" | "DoesNotExist", 1..) => {
            errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        ("Gt" | "Lt", 0 | 2..) => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt", _) => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    well_formed(&at.at("key"), names::qualified_name, errors);
    if !any_values {
        values.items().for_each(|value| well_formed(&value, names::label_value, errors));
    }
}

fn node_field(at: &At<'_>, errors: &mut ErrorList) {
    let (key, operator, values) = (at.at("key"), at.at("operator"), at.at("values"));
    match operator.text() {
        "In" | "NotIn" if values.items().count() == 1 => {}
        "In" | "NotIn" => {
            let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(values.required(detail));
        }
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    if key.text() == "metadata.name" {
        values.items().for_each(|name| well_formed(&name, names::dns1123_subdomain, errors));
    } else {
        errors.push(key.invalid("not a valid field selector key"));
    }
}

fn weight(at: &At<'_>, errors: &mut ErrorList) {
    let weight = at.at("weight");
    if !weight.number().is_some_and(|weight| (1..=100).contains(&weight)) {
        errors.push(weight.invalid("must be in the range 1-100"));
    }
}

fn pod_term(at: &At<'_>, options: &Options, errors: &mut ErrorList) {
    labels::selector_with(&at.at("labelSelector"), options.label_values, errors);
    labels::selector_with(&at.at("namespaceSelector"), options.label_values, errors);
    for name in at.at("namespaces").items() {
        well_formed(&name.shown(at.path.child("namespace")), names::dns1123_label, errors);
    }
    spread::match_label_keys(at, errors);
    let key = at.at("topologyKey");
    if key.is_empty() {
        errors.push(key.required("can not be empty"));
    }
    well_formed(&key, names::qualified_name, errors);
}

/// Conditions that must hold before a pod is ready, and gates before it is scheduled.
pub(super) fn gates(spec: &At<'_>, errors: &mut ErrorList) {
    for gate in spec.at("readinessGates").items() {
        well_formed(&gate.at("conditionType"), names::qualified_name, errors);
    }
    let mut seen = Vec::new();
    for gate in spec.at("schedulingGates").items() {
        let name = gate.at("name").shown(gate.path.clone());
        well_formed(&name, names::qualified_name, errors);
        if seen.contains(&name.text()) {
            errors.push(Error::duplicate(&name.path, name.text()));
        }
        seen.push(name.text());
    }
}
