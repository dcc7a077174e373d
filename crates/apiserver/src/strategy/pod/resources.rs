//! Resource requests and limits of containers, and of pods as wholes.

use std::collections::BTreeMap;

use object::field::{Error, ErrorList};
use object::quantity::Quantity;

use super::super::field::At;
use super::super::resources::{self, amount, is_huge_pages, may_overcommit};
use super::options::Options;
use super::{claims, each_container};

/// How a name is checked.
type Name = fn(&At<'_>, &str, &mut ErrorList);

/// The resources of a container.
pub(super) fn of_container(at: &At<'_>, claims: &[&str], options: &Options, errors: &mut ErrorList) {
    requirements(at, resources::container_name, claims, options, errors);
}

/// What running the pod costs beside its containers.
pub(in super::super) fn overhead(at: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let whole = serde_json::json!({ "limits": at.value });
    if at.is_set() {
        let limits = At { value: &whole, path: at.path.clone() };
        requirements(&limits, resources::container_name, &[], options, errors);
    }
}

/// The resources of a pod as a whole.
pub(super) fn of_pod(spec: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let at = spec.at("resources");
    if !at.is_set() {
        return;
    }
    if spec.at("os").at("name").text() == "windows" {
        errors.push(at.forbidden("may not be set for a windows pod"));
        return;
    }
    if at.at("claims").is_set() {
        errors.push(at.at("claims").forbidden("claims may not be set for Resources at pod-level"));
    }
    let claims = claims::names(&spec.at("resourceClaims"));
    requirements(&at, pod_name, &claims, options, errors);
    consistent(spec, &at, errors);
}

/// Whether huge pages are asked for in parts of pages.
pub(super) fn has_odd_huge_pages(spec: &At<'_>) -> bool {
    let odd = |list: &At<'_>| list.entries().any(|(name, at)| is_huge_pages(name) && !is_divisible(&at, name));
    each_container(spec).map(|c| c.at("resources")).any(|r| odd(&r.at("limits")) || odd(&r.at("requests")))
        || odd(&spec.at("overhead"))
}

fn requirements(at: &At<'_>, name: Name, claims: &[&str], options: &Options, errors: &mut ErrorList) {
    let (limits, requests) = (at.at("limits"), at.at("requests"));
    let each = |resource: &str, entry: &At<'_>, errors: &mut ErrorList| {
        name(entry, resource, errors);
        amount(entry, resource, errors);
    };
    for (resource, limit) in limits.entries() {
        each(resource, &limit, errors);
        pages(&limit, resource, options, errors);
    }
    for (resource, request) in requests.entries() {
        each(resource, &request, errors);
        within(&requests, &request, &limits, resource, errors);
        pages(&request, resource, options, errors);
    }
    let has = |test: fn(&str) -> bool| limits.entries().chain(requests.entries()).any(|(name, _)| test(name));
    if has(is_huge_pages) && !has(|name| matches!(name, "cpu" | "memory")) {
        errors.push(at.forbidden("HugePages require cpu or memory"));
    }
    claims::used(&at.at("claims"), claims, errors);
}

fn pod_name(at: &At<'_>, name: &str, errors: &mut ErrorList) {
    if resources::name(at, name, errors) && !is_pod_resource(name) {
        errors.push(Error::not_supported(&at.path, name, &["cpu", "hugepages-", "memory"]));
    }
}

pub(super) fn is_pod_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_pages(name)
}

fn within(requests: &At<'_>, request: &At<'_>, limits: &At<'_>, name: &str, errors: &mut ErrorList) {
    let limit = limits.at(name);
    if !limit.is_set() && !may_overcommit(name) {
        errors.push(limits.required("Limit must be set for non overcommitable resources"));
    }
    let (Some(requested), Some(limited)) = (request.quantity(), limit.quantity()) else { return };
    let relation = if requested != limited && !may_overcommit(name) {
        "equal to"
    } else if requested > limited {
        "less than or equal to"
    } else {
        return;
    };
    let detail = format!("must be {relation} {name} limit of {limited}");
    errors.push(Error::invalid(&requests.path, requested.to_string(), detail));
}

/// Huge pages come as whole pages.
fn pages(at: &At<'_>, name: &str, options: &Options, errors: &mut ErrorList) {
    if is_huge_pages(name) && !options.huge_pages && !is_divisible(at, name) {
        let quantity = at.quantity().map(|quantity| quantity.to_string()).unwrap_or_default();
        let detail = format!("{quantity} is not positive integer multiple of {name}");
        errors.push(Error::invalid(&at.path, quantity, detail));
    }
}

fn is_divisible(at: &At<'_>, name: &str) -> bool {
    let size = name.strip_prefix("hugepages-").and_then(|size| Quantity::parse(size).ok());
    let size = size.filter(|size| size.milli_value() % 1000 == 0).map_or(0, |size| size.value());
    size > 0 && at.quantity().is_some_and(|quantity| quantity.value() % size == 0)
}

/// What the containers ask for together fits into what the pod asks for.
fn consistent(spec: &At<'_>, at: &At<'_>, errors: &mut ErrorList) {
    let (requests, limits) = (at.at("requests"), at.at("limits"));
    let mut compare = |list: &At<'_>, name: &str, sum: Quantity, what: &str| {
        if let Some(whole) = list.at(name).quantity().filter(|whole| sum > *whole) {
            let detail = format!("must be greater than or equal to aggregate container {what} of {sum}");
            errors.push(Error::invalid(&list.path.key(name), whole.to_string(), detail));
        }
    };
    for (name, sum) in total(spec, "requests") {
        compare(&requests, name, sum, "requests");
    }
    for (name, sum) in total(spec, "limits").into_iter().filter(|(name, _)| is_huge_pages(name)) {
        compare(&limits, name, sum, "limits");
    }
    for (index, container) in spec.at("containers").items().enumerate() {
        for (name, limit) in container.at("resources").at("limits").entries() {
            let (Some(own), Some(whole)) = (limit.quantity(), limits.at(name).quantity()) else { continue };
            if own > whole {
                let path = at.path.child("containers").index(index).key(name).child("limits");
                let detail = format!("must be less than or equal to pod limits of {whole}");
                errors.push(Error::invalid(&path, own.to_string(), detail));
            }
        }
    }
}

type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// What the containers ask for: the larger of the running ones (with sidecars) and each start-up step.
fn total<'a>(spec: &At<'a>, list: &str) -> Amounts<'a> {
    let amounts = |container: &At<'a>| container.at("resources").at(list).entries().collect::<Vec<_>>();
    let (mut sum, mut sidecars, mut peak) = (Amounts::new(), Amounts::new(), Amounts::new());
    let add = |to: &mut Amounts<'a>, container: &At<'a>| {
        for (name, at) in amounts(container) {
            let quantity = at.quantity().unwrap_or(Quantity::ZERO);
            to.entry(name).and_modify(|sum| *sum = sum.plus(quantity)).or_insert(quantity);
        }
    };
    let raise = |to: &mut Amounts<'a>, from: &Amounts<'a>| {
        for (name, quantity) in from {
            to.entry(name).and_modify(|most| *most = (*most).max(*quantity)).or_insert(*quantity);
        }
    };
    spec.at("containers").items().for_each(|container| add(&mut sum, &container));
    for container in spec.at("initContainers").items() {
        let mut step = sidecars.clone();
        add(&mut step, &container);
        if container.at("restartPolicy").text() == "Always" {
            add(&mut sum, &container);
            sidecars = step.clone();
        }
        raise(&mut peak, &step);
    }
    raise(&mut sum, &peak);
    sum
}
