//! How pods spread over the nodes.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, above_zero, well_formed};
use super::super::labels;
use super::options::Options;
use super::restart::supported;

const ACTIONS: &[&str] = &["DoNotSchedule", "ScheduleAnyway"];

pub(super) fn validate(list: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let all: Vec<_> = list.items().collect();
    for (index, constraint) in all.iter().enumerate() {
        let (key, action) = (constraint.at("topologyKey"), constraint.at("whenUnsatisfiable"));
        above_zero(&constraint.at("maxSkew"), errors);
        if key.is_empty() {
            errors.push(key.required("can not be empty"));
        }
        supported(&action, ACTIONS, errors);
        let pair = |c: &At<'_>| (c.value["topologyKey"].clone(), c.value["whenUnsatisfiable"].clone());
        if all[index + 1..].iter().any(|other| pair(other) == pair(constraint)) {
            let path = constraint.path.child("{topologyKey, whenUnsatisfiable}");
            errors.push(Error::duplicate(&path, format!("{{{}, {}}}", key.text(), action.text())));
        }
        min_domains(&constraint.at("minDomains"), action.text(), errors);
        for policy in constraint.present(&["nodeAffinityPolicy", "nodeTaintsPolicy"]) {
            supported(&constraint.at(policy), &["Honor", "Ignore"], errors);
        }
        if options.old_spread_keys {
            old_match_label_keys(constraint, errors);
        } else {
            match_label_keys(constraint, errors);
        }
        if !options.spread_selectors {
            labels::selector(&constraint.at("labelSelector"), errors);
        }
    }
}

fn min_domains(domains: &At<'_>, action: &str, errors: &mut ErrorList) {
    if !domains.is_set() {
        return;
    }
    above_zero(domains, errors);
    if action != "DoNotSchedule" {
        let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.push(domains.invalid(detail));
    }
}

/// Keys whose values come from the pod itself; `term` has them beside a `labelSelector`.
pub(super) fn match_label_keys(term: &At<'_>, errors: &mut ErrorList) {
    let (selector, keys, without) = (term.at("labelSelector"), term.at("matchLabelKeys"), term.at("mismatchLabelKeys"));
    for list in [&keys, &without].into_iter().filter(|list| !list.is_empty()) {
        if selector.is_set() {
            list.items().for_each(|key| well_formed(&key, names::qualified_name, errors));
        } else {
            errors.push(list.forbidden("must not be specified when labelSelector is not set"));
        }
    }
    let mut selected: BTreeSet<_> = selector.at("matchLabels").entries().map(|(key, _)| key).collect();
    for expression in selector.at("matchExpressions").items() {
        let key = expression.at("key").text();
        let position = keys.items().enumerate().filter(|(_, other)| other.text() == key).last();
        if let Some((index, _)) = position.filter(|_| selected.contains(key)) {
            // Upstream names an entry of the term where it means one of its keys.
            let detail = "exists in both matchLabelKeys and labelSelector";
            errors.push(Error::invalid(&term.path.index(index), key, detail));
        }
        selected.insert(key);
    }
    for key in keys.items().filter(|key| without.items().any(|other| other.value == key.value)) {
        errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}

fn old_match_label_keys(constraint: &At<'_>, errors: &mut ErrorList) {
    let (selector, keys) = (constraint.at("labelSelector"), constraint.at("matchLabelKeys"));
    if keys.is_empty() {
        return;
    }
    if !selector.is_set() {
        errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
    }
    let labels = selector.at("matchLabels");
    let expressions: Vec<_> = selector.at("matchExpressions").items().map(|e| e.at("key").text()).collect();
    for key in keys.items() {
        well_formed(&key, names::qualified_name, errors);
        if labels.at(key.text()).is_set() || expressions.contains(&key.text()) {
            errors.push(key.invalid("exists in both matchLabelKeys and labelSelector"));
        }
    }
}
