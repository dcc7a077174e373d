//! When an indexed job has succeeded before all of its indexes have.

use object::field::{Error, ErrorList};

use super::{failure, indexes};
use crate::strategy::field::{At, non_negative};

const MAX_RULES: usize = 20;
const MAX_INDEXES: usize = 64 << 10;

pub(super) fn validate(spec: &At<'_>, errors: &mut ErrorList) {
    let rules = spec.at("successPolicy").at("rules");
    if rules.is_empty() {
        errors.push(rules.required("at least one rules must be specified when the successPolicy is specified"));
    }
    failure::at_most(&rules, MAX_RULES, errors);
    let completions = spec.at("completions").number().unwrap_or_default();
    rules.items().for_each(|rule| validate_rule(&rule, completions, errors));
}

fn validate_rule(rule: &At<'_>, completions: i64, errors: &mut ErrorList) {
    let (count, listed) = (rule.at("succeededCount"), rule.at("succeededIndexes"));
    if !count.is_set() && !listed.is_set() {
        errors.push(rule.required("at least one of succeededCount or succeededIndexes must be specified"));
    }
    let mut total = 0;
    if listed.is_set() {
        if listed.text().len() > MAX_INDEXES {
            errors.push(Error::too_long(&listed.path, MAX_INDEXES));
        }
        match indexes::count(listed.text(), completions) {
            Ok(indexes) => total = indexes,
            Err(why) => errors.push(listed.invalid(format!("error parsing succeededIndexes: {why}"))),
        }
    }
    non_negative(&count, errors);
    let above = |limit: i64| count.number().is_some_and(|n| n > limit);
    let must = "must be less than or equal to";
    if above(completions) {
        errors.push(count.invalid(format!("{must} {completions} (the number of specified completions)")));
    }
    if listed.is_set() && above(total) {
        let text = format!("{must} {total} (the number of indexes in the specified succeededIndexes field)");
        errors.push(count.invalid(text));
    }
}
