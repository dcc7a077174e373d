//! Dynamic resource allocation: devices that drivers offer, and claims for them.
//!
//! Selectors are texts here: whether they compile is not looked at.

mod allocation;
mod capacity;
mod claim;
mod device;
mod pool;
mod slice;
mod taint;

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::field::{At, required, well_formed};
use super::{Context, Strategy, internal, labels};

pub(super) use pool::PoolStatusRequest;
pub(super) use slice::ResourceSlice;
pub(super) use taint::DeviceTaintRule;

/// The label of a namespace that lets its claims reach into devices of others.
const ADMIN_LABEL: &str = "resource.kubernetes.io/admin-access";
/// In bytes.
const MAX_DRIVER: usize = 63;
const MAX_POOL: usize = names::DNS1123_SUBDOMAIN_MAX;
const MAX_IDENTIFIER: usize = 32;

pub(super) struct ResourceClaim;
pub(super) struct ResourceClaimTemplate;
pub(super) struct DeviceClass;

impl Strategy for ResourceClaim {
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            allocation::drop_freed_devices(object, old);
        }
    }

    fn validate(&self, cx: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        errors.extend(claim_wants_admin(cx, &spec));
        claim::spec(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            errors.extend(allocation::wants_admin(cx, &root, old));
            allocation::status(&root, old, &mut errors);
        } else {
            unchanged(&root.at("spec"), &old["spec"], "resource.v1.ResourceClaimSpec", &mut errors);
        }
        errors
    }
}

impl Strategy for ResourceClaimTemplate {
    fn validate(&self, cx: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        // Upstream names the field as that of a claim.
        let as_claim = At { value: &object["spec"]["spec"], path: object::field::Path::new("spec") };
        errors.extend(claim_wants_admin(cx, &as_claim));
        template(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        template(&spec, &mut errors);
        unchanged(&spec, &old["spec"], "resource.v1.ResourceClaimTemplateSpec", &mut errors);
        errors
    }
}

impl Strategy for DeviceClass {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        each(&spec.at("selectors"), claim::MAX_SELECTORS, claim::selector, &mut errors);
        each(&spec.at("config"), claim::MAX_CONFIG, claim::configuration, &mut errors);
        let name = spec.at("extendedResourceName");
        if name.is_set() && !is_extended(name.text()) {
            errors.push(name.invalid("must be a valid extended resource name"));
        }
        errors
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn template(spec: &At<'_>, errors: &mut ErrorList) {
    const ALLOWED: &[&str] = &["annotations", "labels", "creationTimestamp"];
    let metadata = spec.at("metadata");
    labels::annotations(&metadata.at("annotations"), errors);
    labels::labels(&metadata.at("labels"), errors);
    let others = metadata.entries().filter(|(name, at)| at.is_set() && !ALLOWED.contains(name));
    errors.extend(others.map(|(name, _)| metadata.at(name).forbidden("cannot be set")));
    claim::spec(&spec.at("spec"), errors);
}

/// A request with admin access, where its namespace does not allow it.
fn claim_wants_admin(cx: &Context<'_>, spec: &At<'_>) -> Option<Error> {
    let requests = spec.at("devices").at("requests");
    let wanted = requests.items().find(|request| request.at("exactly").at("adminAccess").flag())?;
    may_be_admin(cx, &wanted.at("adminAccess"))
}

/// What is wrong with admin access in the namespace of the request.
fn may_be_admin(cx: &Context<'_>, at: &At<'_>) -> Option<Error> {
    let Some(namespace) = cx.objects.value("", "namespaces", "", cx.namespace) else {
        let why = std::io::Error::other(format!(
            "could not retrieve namespace to verify admin access: namespaces {} not found",
            object::field::quote(cx.namespace)
        ));
        return Some(Error::internal(&at.path, &why));
    };
    (namespace["metadata"]["labels"][ADMIN_LABEL] != "true").then(|| {
        at.forbidden(format!(
            "admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
        ))
    })
}

/// What is written once. Messages show the internal form.
fn unchanged(at: &At<'_>, old: &Value, ty: &str, errors: &mut ErrorList) {
    if at.value != old {
        errors.push(Error::invalid(&at.path, internal::shown(ty, at.value), "field is immutable"));
    }
}

/// Whether a resource has a domain that is not ours, and fits into a quota.
fn is_extended(name: &str) -> bool {
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    !native && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Checks the entries of a list; one that is too long is not looked at any further. Returns whether it was.
fn each(at: &At<'_>, max: usize, mut check: impl FnMut(&At<'_>, &mut ErrorList), errors: &mut ErrorList) -> bool {
    if at.count() > max {
        errors.push(Error::too_many(&at.path, at.count(), max));
        return false;
    }
    at.items().for_each(|entry| check(&entry, errors));
    true
}

/// The same for entries that have each a key of their own.
fn each_once(
    at: &At<'_>,
    max: usize,
    check: impl FnMut(&At<'_>, &mut ErrorList),
    key: impl Fn(&At<'_>) -> Value,
    errors: &mut ErrorList,
) {
    if !each(at, max, check, errors) {
        return;
    }
    let mut seen = BTreeSet::new();
    for entry in at.items() {
        let key = key(&entry);
        if !seen.insert(key.to_string()) {
            errors.push(Error::duplicate(&entry.path, key));
        }
    }
}

/// The key of entries that have a name.
fn by_name(at: &At<'_>) -> Value {
    at.value["name"].as_str().unwrap_or_default().into()
}

/// The key of texts.
fn by_text(at: &At<'_>) -> Value {
    at.text().into()
}

/// Checks the entries of a map and their keys.
fn each_entry(
    at: &At<'_>,
    max: Option<usize>,
    longest_key: usize,
    check_key: fn(&str, &At<'_>, &mut ErrorList),
    mut check: impl FnMut(&At<'_>, &mut ErrorList),
    errors: &mut ErrorList,
) {
    let count = at.entries().count();
    if let Some(max) = max.filter(|max| count > *max) {
        errors.push(Error::too_many(&at.path, count, max));
        return;
    }
    for (key, value) in at.entries() {
        check_key(key, at, errors);
        let value = At { value: value.value, path: at.path.key(&shortened(key, longest_key)) };
        check(&value, errors);
    }
}

/// A key without its middle, where it is too long to be shown.
fn shortened(key: &str, longest: usize) -> std::borrow::Cow<'_, str> {
    const ELLIPSIS: &str = "...";
    if key.len() <= longest {
        return key.into();
    }
    let left = longest - ELLIPSIS.len();
    let (start, end) = (key.get(..left.div_ceil(2)), key.get(key.len() - left / 2..));
    format!("{}{ELLIPSIS}{}", start.unwrap_or_default(), end.unwrap_or_default()).into()
}

/// A driver's name: a short subdomain, in whatever case.
fn driver(at: &At<'_>, errors: &mut ErrorList) {
    if required(at, errors) {
        driver_name(at.text(), at, errors);
    }
}

fn driver_name(name: &str, at: &At<'_>, errors: &mut ErrorList) {
    if name.len() > MAX_DRIVER {
        errors.push(Error::too_long(&at.path, MAX_DRIVER));
    }
    errors.extend_invalid(&at.path, name, names::dns1123_subdomain(&name.to_lowercase()));
}

/// A pool's name: subdomains, with slashes between them.
fn pool_name(at: &At<'_>, errors: &mut ErrorList) {
    if !required(at, errors) {
        return;
    }
    if at.text().len() > MAX_POOL {
        errors.push(Error::too_long(&at.path, MAX_POOL));
    }
    for part in at.text().split('/') {
        errors.extend_invalid(&at.path, part, names::dns1123_subdomain(part));
    }
}

/// An attribute's name: `[domain/]identifier`.
fn qualified_name(name: &str, at: &At<'_>, errors: &mut ErrorList) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [id] => identifier(id, at, errors),
        [domain, id] => {
            match *domain {
                "" => errors.push(Error::invalid(&at.path, "", "the domain must not be empty")),
                domain => driver_name(domain, at, errors),
            }
            match *id {
                "" => errors.push(Error::invalid(&at.path, "", "the name must not be empty")),
                id => identifier(id, at, errors),
            }
        }
        _ => {}
    }
}

/// An attribute's name that says its domain.
fn fully_qualified_name(at: &At<'_>, errors: &mut ErrorList) {
    qualified_name(at.text(), at, errors);
    if !at.text().contains('/') {
        errors.push(at.invalid("a fully qualified name must be a domain and a name separated by a slash"));
    }
}

fn identifier(id: &str, at: &At<'_>, errors: &mut ErrorList) {
    if id.len() > MAX_IDENTIFIER {
        errors.push(Error::too_long(&at.path, MAX_IDENTIFIER));
    }
    errors.extend_invalid(&at.path, id, names::c_identifier(id));
}

/// Conditions that a device needs before it is bound, and those with which that fails.
fn binding_conditions(at: &At<'_>, errors: &mut ErrorList) {
    const MAX: usize = 4;
    let (wanted, failures) = (at.at("bindingConditions"), at.at("bindingFailureConditions"));
    for list in [&wanted, &failures] {
        each(list, MAX, |name, errors| well_formed(name, names::qualified_name, errors), errors);
    }
    let mut seen = BTreeSet::new();
    errors.extend(wanted.items().filter(|name| !seen.insert(name.text())).map(|name| name.duplicate()));
    let mut seen = BTreeSet::new();
    for name in failures.items() {
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        if wanted.texts().any(|wanted| wanted == name.text()) {
            errors.push(name.invalid("bindingFailureConditions must not overlap with bindingConditions"));
        }
    }
    match (wanted.is_empty(), failures.is_empty()) {
        (true, false) => {
            errors.push(wanted.invalid("bindingConditions are required to use bindingFailureConditions"));
        }
        (false, true) => {
            errors.push(failures.invalid("bindingFailureConditions are required to use bindingConditions"));
        }
        _ => {}
    }
}

/// Parameters for a driver: any object, if it is not too large.
fn parameters(at: &At<'_>, max: usize, errors: &mut ErrorList) {
    if !at.is_set() {
        errors.push(at.required(""));
    } else if at.value.to_string().len() > max {
        errors.push(Error::too_long(&at.path, max));
    } else if !at.value.is_object() {
        errors.push(Error::invalid(&at.path, "<value omitted>", "must be a valid JSON object"));
    }
}
