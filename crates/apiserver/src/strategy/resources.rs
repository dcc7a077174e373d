//! Names and amounts of resources: what may be counted where.

use object::field::{Error, ErrorList};
use object::names;

use super::field::At;

const QUOTA_PREFIX: &str = "requests.";
const HUGE_PAGES: &str = "hugepages-";

/// Objects that are counted as wholes.
const COUNTED: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const COMPUTE: &[&str] = &["cpu", "ephemeral-storage", "memory"];

/// A name without a domain that upstream knows.
pub(super) fn is_standard(name: &str) -> bool {
    is_quota(name) || name == "storage"
}

/// A name without a domain that quotas can limit.
pub(super) fn is_quota(name: &str) -> bool {
    let plain = name.strip_prefix(QUOTA_PREFIX).or_else(|| name.strip_prefix("limits."));
    COMPUTE.contains(&name)
        || COUNTED.contains(&name)
        || plain.is_some_and(|plain| COMPUTE.contains(&plain))
        || name == "requests.storage"
        || is_huge_pages(name)
        || name.strip_prefix(QUOTA_PREFIX).is_some_and(is_huge_pages)
}

pub(super) fn is_huge_pages(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// Resources that nodes have without plugins.
pub(super) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether less may be requested than the limit.
pub(super) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_pages(name)
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with(QUOTA_PREFIX)
        && names::qualified_name(&format!("{QUOTA_PREFIX}{name}")).is_empty()
}

fn is_whole(name: &str) -> bool {
    COUNTED.contains(&name) || is_extended(name)
}

/// Any resource: a standard one, or one with a domain. Returns whether it is.
pub(super) fn name(at: &At<'_>, name: &str, errors: &mut ErrorList) -> bool {
    let messages = names::qualified_name(name);
    let known = name.contains('/') || is_standard(name);
    if messages.is_empty() && !known {
        errors.push(Error::invalid(&at.path, name, "must be a standard resource type or fully qualified"));
    }
    let sound = messages.is_empty() && known;
    errors.extend_invalid(&at.path, name, messages);
    sound
}

/// A resource of a container.
pub(super) fn container_name(at: &At<'_>, resource: &str, errors: &mut ErrorList) {
    name(at, resource, errors);
    if !resource.contains('/') {
        if !(COMPUTE.contains(&resource) || is_huge_pages(resource)) {
            errors.push(Error::invalid(&at.path, resource, "must be a standard resource for containers"));
        }
    } else if !is_native(resource) && !is_extended(resource) {
        errors.push(Error::invalid(&at.path, resource, "doesn't follow extended resource name standard"));
    }
}

/// A resource that a quota limits.
pub(super) fn quota_name(at: &At<'_>, resource: &str, errors: &mut ErrorList) {
    name(at, resource, errors);
    if !resource.contains('/') && !is_quota(resource) {
        errors.push(Error::invalid(&at.path, resource, "must be a standard resource for quota"));
    }
}

/// An amount: not negative, and whole where parts make no sense.
pub(super) fn amount(at: &At<'_>, resource: &str, errors: &mut ErrorList) {
    let Some(quantity) = at.quantity() else { return };
    if quantity.is_negative() {
        errors.push(at.invalid("must be greater than or equal to 0"));
    }
    if is_whole(resource) && quantity.milli_value() % 1000 != 0 {
        errors.push(at.invalid("must be an integer"));
    }
}
