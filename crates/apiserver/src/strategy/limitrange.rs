//! LimitRanges.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;
use object::quantity::{Format, Quantity};
use serde_json::Value;

use super::field::At;
use super::resources::{self, may_overcommit};
use super::{Context, Strategy};

pub(super) struct LimitRange;

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
/// From here on, ratios are counted in wholes.
const MAX_MILLI: i64 = i64::MAX / 1000;

impl Strategy for LimitRange {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let mut seen = BTreeSet::new();
        for limit in At::root(object).at("spec").at("limits").items() {
            let kind = limit.at("type");
            type_name(&kind, &mut errors);
            if !seen.insert(kind.text()) {
                errors.push(Error::duplicate(&kind.path, kind.text()));
            }
            check(&limit, &mut errors);
        }
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn type_name(at: &At<'_>, errors: &mut ErrorList) {
    let (name, before) = (at.text(), errors.len());
    errors.extend_invalid(&at.path, name, names::qualified_name(name));
    if errors.len() == before && !name.contains('/') && !matches!(name, "Pod" | "Container" | "PersistentVolumeClaim") {
        errors.push(at.invalid("must be a standard limit type or fully qualified"));
    }
}

fn check(limit: &At<'_>, errors: &mut ErrorList) {
    let kind = limit.at("type").text();
    let of_pods = matches!(kind, "Pod" | "Container");
    let mut names = BTreeSet::new();
    for list in LISTS {
        let at = limit.at(list);
        if kind == "Pod" && list.starts_with("default") {
            if !at.is_empty() {
                errors.push(at.forbidden("may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        if list == "maxLimitRequestRatio" {
            storage(limit, errors);
        }
        for (name, entry) in at.entries() {
            if of_pods {
                resources::container_name(&entry, name, errors);
            } else {
                resources::name(&entry, name, errors);
            }
            names.insert(name);
        }
    }
    names.into_iter().for_each(|name| relations(limit, name, kind, errors));
}

fn storage(limit: &At<'_>, errors: &mut ErrorList) {
    let has = |list: &str| limit.at(list).at("storage").is_set();
    if limit.at("type").text() == "PersistentVolumeClaim" && !has("min") && !has("max") {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(limit.at("limits").required(detail));
    }
}

/// What must not exceed what: list and words of the smaller and of the larger, the list that the error names, and the
/// list whose value it shows.
const ORDER: &[(&str, &str, &str, &str, &str, &str)] = &[
    ("min", "min value", "max", "max value", "min", "min"),
    ("min", "min value", "defaultRequest", "default request value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request value", "max", "max value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request value", "default", "default limit value", "defaultRequest", "defaultRequest"),
    ("min", "min value", "default", "default value", "default", "min"),
    ("default", "default value", "max", "max value", "default", "max"),
];

fn relations(limit: &At<'_>, name: &str, kind: &str, errors: &mut ErrorList) {
    let quantity = |list: &str| {
        let hidden = kind == "Pod" && list.starts_with("default");
        limit.at(list).at(name).quantity().filter(|_| !hidden)
    };
    let path = |list: &str| limit.path.child(list).key(name);
    for (small, small_word, large, large_word, at, shown) in ORDER {
        let (Some(a), Some(b)) = (quantity(small), quantity(large)) else { continue };
        if a > b {
            let value = quantity(shown).map(|quantity| quantity.to_string());
            let detail = format!("{small_word} {a} is greater than {large_word} {b}");
            errors.push(Error::invalid(&path(at), value.unwrap_or_default(), detail));
        }
    }
    if let Some(most) = quantity("maxLimitRequestRatio") {
        ratio(limit, name, most, quantity("min").zip(quantity("max")), errors);
    }
    if let (Some(default), Some(request)) = (quantity("default"), quantity("defaultRequest"))
        && !may_overcommit(name)
        && default != request
    {
        let detail = format!("default value {default} must equal to defaultRequest value {request} in {name}");
        errors.push(Error::invalid(&path("defaultRequest"), request.to_string(), detail));
    }
}

fn ratio(limit: &At<'_>, name: &str, most: Quantity, bounds: Option<(Quantity, Quantity)>, errors: &mut ErrorList) {
    let path = limit.path.child("maxLimitRequestRatio").key(name);
    if most < Quantity::whole(1, Format::DecimalSI) {
        errors.push(Error::invalid(&path, most.to_string(), format!("ratio {most} is less than 1")));
    }
    let Some((min, max)) = bounds else { return };
    let fine = [most, min, max].iter().all(|quantity| quantity.value() < MAX_MILLI);
    #[expect(clippy::cast_precision_loss, reason = "a ratio in upstream's arithmetic")]
    let number = |quantity: Quantity| if fine { quantity.milli_value() as f64 } else { quantity.value() as f64 };
    let whole = if fine { number(most) / 1000.0 } else { number(most) };
    let bound = number(max) / number(min);
    if whole > bound {
        let detail = format!("ratio {most} is greater than max/min = {bound:.6}");
        errors.push(Error::invalid(&path, most.to_string(), detail));
    }
}
