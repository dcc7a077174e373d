//! Requests for the status of pools: asked once, answered once.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{each, unchanged};
use crate::strategy::field::{At, conditions, required, well_formed};
use crate::strategy::{Context, Strategy};

const MAX_POOLS: usize = 1000;
const MAX_CONDITIONS: usize = 10;
/// In bytes.
const MAX_ERROR: usize = 256;

pub(in crate::strategy) struct PoolStatusRequest;

impl Strategy for PoolStatusRequest {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            status(&root.at("status"), &old["status"], &mut errors);
        } else if object["spec"] != old["spec"] {
            errors.push(Error::invalid(&root.at("spec").path, Value::Null, "field is immutable"));
        }
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    if required(&spec.at("driver"), errors) {
        driver(&spec.at("driver"), errors);
    }
    if spec.at("poolName").is_set() {
        pool_name(&spec.at("poolName"), errors);
    }
    let limit = spec.at("limit");
    match limit.number() {
        None => errors.push(limit.required("")),
        Some(number) if number > 1000 => errors.push(limit.invalid("must be less than or equal to 1000")),
        Some(_) => at_least(&limit, 1, errors),
    }
}

fn driver(at: &At<'_>, errors: &mut ErrorList) {
    well_formed(at, names::dns1123_subdomain_caseless, errors);
}

fn pool_name(at: &At<'_>, errors: &mut ErrorList) {
    const MAX: usize = names::DNS1123_SUBDOMAIN_MAX;
    if at.text().len() > MAX {
        errors.push(Error::too_long(&at.path, MAX));
    }
    for (index, part) in at.text().split('/').enumerate() {
        if part.is_empty() {
            errors.push(at.invalid(format!("segment {index}: must not be empty")));
            continue;
        }
        let wrong = names::dns1123_subdomain(part).into_iter();
        errors.extend(wrong.map(|why| Error::invalid(&at.path, part, format!("segment {index}: {why}"))));
    }
}

fn at_least(at: &At<'_>, min: i64, errors: &mut ErrorList) {
    if at.number().is_some_and(|number| number < min) {
        errors.push(at.invalid(format!("must be greater than or equal to {min}")));
    }
}

fn status(status: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if !old.is_null() {
        unchanged(status, old, "resource.v1alpha3.ResourcePoolStatusRequestStatus", errors);
        return;
    }
    if !status.is_set() {
        return;
    }
    conditions(&status.at("conditions"), errors);
    let count = status.at("poolCount");
    if count.is_set() {
        at_least(&count, 0, errors)
    } else {
        errors.push(count.required(""))
    }
    each(&status.at("pools"), MAX_POOLS, pool, errors);
    let list = status.at("conditions");
    if list.count() > MAX_CONDITIONS {
        errors.push(Error::too_many(&list.path, list.count(), MAX_CONDITIONS));
    }
}

fn pool(at: &At<'_>, errors: &mut ErrorList) {
    if required(&at.at("driver"), errors) {
        driver(&at.at("driver"), errors);
    }
    if required(&at.at("poolName"), errors) {
        pool_name(&at.at("poolName"), errors);
    }
    for (field, min) in [
        ("generation", 0),
        ("resourceSliceCount", 1),
        ("totalDevices", 0),
        ("allocatedDevices", 0),
        ("availableDevices", 0),
        ("unavailableDevices", 0),
    ] {
        at_least(&at.at(field), min, errors);
    }
    if at.at("nodeName").is_set() {
        well_formed(&at.at("nodeName"), names::dns1123_subdomain, errors);
    }
    if at.at("validationError").text().len() > MAX_ERROR {
        errors.push(Error::too_long(&at.at("validationError").path, MAX_ERROR));
    }
}
