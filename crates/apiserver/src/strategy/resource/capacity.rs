//! Capacity of devices that several claims share: what may be asked for.

use object::Quantity;
use object::field::{Error, ErrorList};
use serde_json::Value;

use super::each_once;
use crate::strategy::field::At;

const MAX_VALUES: usize = 10;

/// Capacity that goes to one claim as a whole.
pub(super) fn whole(at: &At<'_>, errors: &mut ErrorList) {
    let policy = at.at("requestPolicy");
    if policy.is_set() {
        errors.push(policy.forbidden("allowMultipleAllocations must be true"));
    }
}

/// Capacity that claims share.
pub(super) fn shared(at: &At<'_>, errors: &mut ErrorList) {
    let (capacity, policy) = (at.at("value"), at.at("requestPolicy"));
    let (values, range, default) = (policy.at("validValues"), policy.at("validRange"), policy.at("default"));
    if !values.is_empty() && range.is_set() {
        let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same \
                      time";
        errors.push(policy.forbidden(detail));
    } else if !values.is_empty() {
        if default.is_set() {
            among(&values, &default, &capacity, errors);
        } else {
            errors.push(default.required("required when validValues is defined"));
        }
    } else if range.is_set() {
        if default.is_set() {
            within(&range, &default, &capacity, errors);
        } else {
            errors.push(default.required("required when validRange is defined"));
        }
    }
}

/// The quantity here; quantities that are none were refused when the object was read.
fn amount(at: &At<'_>) -> Option<Quantity> {
    Quantity::parse(at.text()).ok()
}

/// In whole units.
fn units(at: &At<'_>) -> i64 {
    amount(at).map_or(0, |amount| amount.value())
}

fn among(values: &At<'_>, default: &At<'_>, capacity: &At<'_>, errors: &mut ErrorList) {
    let items: Vec<At<'_>> = values.items().collect();
    for pair in items.windows(2) {
        if amount(&pair[0]) > amount(&pair[1]) {
            errors.push(pair[1].invalid("values must be sorted in ascending order"));
        }
    }
    let fits = |at: &At<'_>, errors: &mut ErrorList| {
        if amount(at) > amount(capacity) {
            errors.push(at.invalid(format!("option is larger than capacity value: {}", capacity.text())));
        }
    };
    let key = |at: &At<'_>| Value::from(units(at).to_string());
    each_once(values, MAX_VALUES, fits, key, errors);
    let listed = items.len() <= MAX_VALUES && items.iter().any(|item| amount(item) == amount(default));
    if !listed {
        let detail = "default value is not valid according to the requestPolicy";
        errors.push(Error::invalid(&values.path, default.text(), detail));
    }
}

fn within(range: &At<'_>, default: &At<'_>, capacity: &At<'_>, errors: &mut ErrorList) {
    let (min, max, step) = (range.at("min"), range.at("max"), range.at("step"));
    if !min.is_set() {
        errors.push(min.required("required when validRange is defined"));
        return;
    }
    larger(&min, &min, "min is larger than capacity value", capacity, errors);
    if amount(default) < amount(&min) {
        errors.push(Error::invalid(&min.path, default.text(), format!("default is less than min: {}", min.text())));
    }
    if max.is_set() {
        larger(&max, &min, "min is larger than max", &max, errors);
        larger(&max, &max, "max is larger than capacity value", capacity, errors);
        larger(&max, default, "default is more than max", &max, errors);
    }
    if step.is_set() {
        let one = amount(&min).zip(amount(&step)).map(|(min, step)| min.plus(step));
        if let Some(one) = one.filter(|one| Some(*one) > amount(capacity)) {
            let detail = format!("one step {one} is larger than capacity value: {}", capacity.text());
            errors.push(step.invalid(detail));
        }
        for value in [Some(default), Some(&max).filter(|max| max.is_set())].into_iter().flatten() {
            steps(value, &min, &step, errors);
        }
    }
}

/// Complains at `at` of an amount that is larger than another.
fn larger(at: &At<'_>, one: &At<'_>, what: &str, other: &At<'_>, errors: &mut ErrorList) {
    if amount(one) > amount(other) {
        errors.push(Error::invalid(&at.path, one.text(), format!("{what}: {}", other.text())));
    }
}

/// Whether a value can be reached in whole steps. A step of nothing reaches nothing.
fn steps(value: &At<'_>, min: &At<'_>, step: &At<'_>, errors: &mut ErrorList) {
    let above = units(value).wrapping_sub(units(min));
    if above.checked_rem(units(step)) != Some(0) {
        let detail = format!("value is not a multiple of a given step ({}) from ({})", step.text(), min.text());
        errors.push(Error::invalid(&step.path, value.text(), detail));
    }
}
