//! Where a pod may run: tolerations, affinity, spread.

use object::field::ErrorList;
use object::names;

use super::super::field::{At, one_of, optional_one_of, required, required_name, well_formed};
use super::super::labels;

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "PreferNoSchedule"];

pub(in super::super) fn tolerations(at: &At<'_>, errors: &mut ErrorList) {
    for toleration in at.items() {
        let (key, operator, effect) = (toleration.at("key"), toleration.at("operator"), toleration.at("effect"));
        if !key.is_empty() {
            well_formed(&key, names::qualified_name, errors);
        } else if operator.text() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(operator.invalid(detail));
        }
        if toleration.at("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            errors.push(effect.invalid("effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        let value = toleration.at("value");
        match operator.text() {
            "" | "Equal" => {
                errors.extend_invalid(&operator.path, value.text(), names::label_value(value.text()));
            }
            "Exists" if !value.is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                errors.push(object::field::Error::invalid(&operator.path, value.value.clone(), detail));
            }
            "Exists" => {}
            _ => errors.push(operator.unsupported(&["Equal", "Exists"])),
        }
        optional_one_of(&effect, EFFECTS, errors);
    }
}

pub(super) fn affinity(at: &At<'_>, errors: &mut ErrorList) {
    let nodes = at.at("nodeAffinity");
    let required_nodes = nodes.at("requiredDuringSchedulingIgnoredDuringExecution");
    if required_nodes.is_set() {
        node_selector(&required_nodes, errors);
    }
    for preferred in nodes.at("preferredDuringSchedulingIgnoredDuringExecution").items() {
        weight(&preferred, errors);
        node_selector_term(&preferred.at("preference"), errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = at.at(kind);
        pods.at("requiredDuringSchedulingIgnoredDuringExecution").items().for_each(|t| pod_term(&t, errors));
        for preferred in pods.at("preferredDuringSchedulingIgnoredDuringExecution").items() {
            weight(&preferred, errors);
            pod_term(&preferred.at("podAffinityTerm"), errors);
        }
    }
}

pub(super) fn spread(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for constraint in at.items() {
        let (skew, key, action) =
            (constraint.at("maxSkew"), constraint.at("topologyKey"), constraint.at("whenUnsatisfiable"));
        if skew.number().is_none_or(|skew| skew <= 0) {
            errors.push(skew.invalid("must be greater than zero"));
        }
        if key.is_empty() {
            errors.push(key.required("can not be empty"));
        } else {
            well_formed(&key, names::qualified_name, errors);
        }
        one_of(&action, &["DoNotSchedule", "ScheduleAnyway"], errors);
        let pair = (key.text(), action.text());
        if seen.contains(&pair) {
            let shown = format!("{{{}, {}}}", pair.0, pair.1);
            errors.push(object::field::Error::duplicate(
                &constraint.path.child("{topologyKey, whenUnsatisfiable}"),
                shown,
            ));
        }
        seen.push(pair);
        let domains = constraint.at("minDomains");
        if domains.number().is_some_and(|n| n <= 0) {
            errors.push(domains.invalid("must be greater than zero"));
        }
        if domains.is_set() && action.text() != "DoNotSchedule" {
            let detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway";
            errors.push(domains.invalid(detail));
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional_one_of(&constraint.at(policy), &["Honor", "Ignore"], errors);
        }
        labels::selector(&constraint.at("labelSelector"), errors);
    }
}

/// A `NodeSelector`.
pub(in super::super) fn node_selector(at: &At<'_>, errors: &mut ErrorList) {
    let terms = at.at("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    terms.items().for_each(|term| node_selector_term(&term, errors));
}

fn node_selector_term(at: &At<'_>, errors: &mut ErrorList) {
    for expression in at.at("matchExpressions").items() {
        node_requirement(&expression, errors);
        well_formed(&expression.at("key"), names::qualified_name, errors);
    }
    for field in at.at("matchFields").items() {
        node_requirement(&field, errors);
        if field.at("key").text() != "metadata.name" {
            errors.push(field.at("key").invalid("not a valid field selector key"));
        }
    }
}

fn node_requirement(at: &At<'_>, errors: &mut ErrorList) {
    let (operator, values) = (at.at("operator"), at.at("values"));
    let count = values.items().count();
    match operator.text() {
        "In" | "NotIn" if count == 0 => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if count != 1 => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
}

fn weight(at: &At<'_>, errors: &mut ErrorList) {
    let weight = at.at("weight");
    if !weight.number().is_some_and(|weight| (1..=100).contains(&weight)) {
        errors.push(weight.invalid("must be in the range 1-100"));
    }
}

fn pod_term(at: &At<'_>, errors: &mut ErrorList) {
    labels::selector(&at.at("labelSelector"), errors);
    labels::selector(&at.at("namespaceSelector"), errors);
    at.at("namespaces").items().for_each(|name| well_formed(&name, names::dns1123_label, errors));
    let key = at.at("topologyKey");
    if key.is_empty() {
        errors.push(key.required("can not be empty"));
    } else {
        well_formed(&key, names::qualified_name, errors);
    }
}

/// Conditions that must hold before a pod is ready, and gates before it is scheduled.
pub(super) fn gates(spec: &At<'_>, errors: &mut ErrorList) {
    for gate in spec.at("readinessGates").items() {
        well_formed(&gate.at("conditionType"), names::qualified_name, errors);
    }
    let mut seen = Vec::new();
    for gate in spec.at("schedulingGates").items() {
        let name = gate.at("name");
        required_name(&name, names::qualified_name, errors);
        if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        }
        seen.push(name.text());
    }
    if !seen.is_empty() && !spec.at("nodeName").is_empty() {
        errors.push(spec.at("nodeName").forbidden("cannot be set until all schedulingGates have been cleared"));
    }
}

/// Names and addresses for `/etc/hosts`.
pub(super) fn host_aliases(at: &At<'_>, errors: &mut ErrorList) {
    for alias in at.items() {
        well_formed(&alias.at("ip"), names::ip, errors);
        alias.at("hostnames").items().for_each(|name| well_formed(&name, names::dns1123_subdomain, errors));
    }
}

/// What `dnsPolicy: None` needs, and what every resolver configuration must keep to.
pub(super) fn dns(spec: &At<'_>, errors: &mut ErrorList) {
    let config = spec.at("dnsConfig");
    let (servers, searches) = (config.at("nameservers"), config.at("searches"));
    if spec.at("dnsPolicy").text() == "None" {
        if !config.is_set() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            errors.push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
        }
    }
    if servers.items().count() > 3 {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    servers.items().for_each(|server| well_formed(&server, names::ip, errors));
    if searches.items().count() > 32 {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    for search in searches.items().filter(|search| search.text() != ".") {
        let name = search.text().trim_end_matches('.').replace('_', "-");
        errors.extend_invalid(&search.path, search.text(), names::dns1123_subdomain(&name));
    }
    for option in config.at("options").items() {
        if option.at("name").is_empty() {
            errors.push(option.required("must not be empty"));
        }
    }
    required_when_set(&config, errors);
}

fn required_when_set(config: &At<'_>, errors: &mut ErrorList) {
    let length: usize = config.at("searches").items().map(|search| search.text().len() + 1).sum();
    if length > 2049 {
        errors.push(
            config
                .at("searches")
                .invalid("must not have more than 2048 characters (including spaces) in the search list"),
        );
    }
}

pub(super) fn pull_secrets(at: &At<'_>, errors: &mut ErrorList) {
    for secret in at.items() {
        required(&secret.at("name"), errors);
    }
}
