//! ResourceQuotas.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use serde_json::Value;

use super::field::{At, texts};
use super::resources::{amount, is_quota, quota_name};
use super::{Context, Strategy, structs};

pub(super) struct ResourceQuota;

const SCOPES: &[&str] = &[
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// Scopes that a pod is in or not.
const YES_OR_NO: &[&str] =
    &["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "Terminating"];
const POD_COMPUTE: &[&str] = &["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
const CONFLICTS: &[(&str, &str)] = &[("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")];

impl Strategy for ResourceQuota {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            amounts(&root.at("status").at("hard"), &mut errors);
            amounts(&root.at("status").at("used"), &mut errors);
            return errors;
        }
        spec(&root.at("spec"), &mut errors);
        let scopes = root.at("spec").at("scopes");
        let set = |scopes: &Value| texts(scopes).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        if set(scopes.value) != set(&old["spec"]["scopes"]) {
            errors.push(scopes.invalid("field is immutable"));
        }
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        if old.is_some() { Vec::new() } else { warnings(&At::root(object).at("spec").at("hard")) }
    }

    fn returns_deleted(&self) -> bool {
        true
    }
}

fn amounts(list: &At<'_>, errors: &mut ErrorList) {
    for (name, at) in list.entries() {
        quota_name(&at, name, errors);
        amount(&at, name, errors);
    }
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    let hard = spec.at("hard");
    amounts(&hard, errors);
    let mut limited: Vec<_> = hard.entries().map(|(name, _)| name).collect();
    limited.sort_unstable();
    let (scopes, selector) = (spec.at("scopes"), spec.at("scopeSelector"));
    for scope in texts(scopes.value) {
        if !SCOPES.contains(&scope) {
            errors.push(scopes.invalid("unsupported scope"));
        }
        errors.extend(foreign(scope, &limited).map(|_| scopes.invalid("unsupported scope applied to resource")));
    }
    conflicts(&scopes, &texts(scopes.value), &scopes, errors);
    if selector.is_set() {
        select(&selector, &scopes, &limited, errors);
    }
}

/// Which of the limited resources a scope has nothing to do with.
fn foreign<'a>(scope: &str, limited: &'a [&'a str]) -> impl Iterator<Item = &'a str> + use<'a> {
    let of: fn(&str) -> bool = match scope {
        "BestEffort" => |name| name == "pods",
        "VolumeAttributesClass" => |name| matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => |name| name == "pods" || POD_COMPUTE.contains(&name),
        _ => |_| true,
    };
    limited.iter().copied().filter(move |name| is_quota(name) && !of(name))
}

fn conflicts(at: &At<'_>, scopes: &[&str], shown: &At<'_>, errors: &mut ErrorList) {
    for (one, other) in CONFLICTS {
        if scopes.contains(one) && scopes.contains(other) {
            errors.push(Error::invalid(&at.path, shown.value.clone(), "conflicting scopes"));
        }
    }
}

/// Upstream names the list of expressions where it means one of them.
fn select(selector: &At<'_>, scopes: &At<'_>, limited: &[&str], errors: &mut ErrorList) {
    let list = selector.at("matchExpressions");
    let mut all = Vec::new();
    for expression in list.items() {
        let [scope, operator, values] =
            ["scopeName", "operator", "values"].map(|field| expression.at(field).shown(list.path.child(field)));
        if !SCOPES.contains(&scope.text()) {
            errors.push(scope.invalid("unsupported scope"));
        }
        for _ in foreign(scope.text(), limited) {
            let shown = structs::value("ScopeSelector", selector.value);
            errors.push(Error::invalid(&list.path, shown, "unsupported scope applied to resource"));
        }
        if YES_OR_NO.contains(&scope.text()) && operator.text() != "Exists" {
            let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.push(operator.invalid(detail));
        }
        operands(&operator, &values, errors);
        all.push(scope.text());
    }
    conflicts(&list, &all, scopes, errors);
}

fn operands(operator: &At<'_>, values: &At<'_>, errors: &mut ErrorList) {
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.push(values.required(detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(values.invalid(detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
}

/// Requests that are not below their limits.
fn warnings(hard: &At<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for resource in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let (mut request, limit) = (format!("requests.{resource}"), format!("limits.{resource}"));
        if !hard.at(&request).is_set() && matches!(resource, "cpu" | "memory") {
            request = resource.to_owned();
        }
        let (Some(requested), Some(limited)) = (hard.at(&request).quantity(), hard.at(&limit).quantity()) else {
            continue;
        };
        if requested > limited {
            all.push(format!("ResourceQuota {request} ({requested}) should be less than {limit} ({limited})"));
        }
    }
    all
}
