//! Labels, annotations and selectors inside of objects.

use object::field::ErrorList;
use object::names;

use super::field::{At, well_formed};

/// The most that an object's annotations may weigh, in bytes.
const MAX_ANNOTATIONS: usize = 256 << 10;

pub(super) fn labels(at: &At<'_>, errors: &mut ErrorList) {
    for (key, value) in at.entries() {
        errors.extend_invalid(&at.path, key, names::qualified_name(key));
        errors.extend_invalid(&at.path, value.text(), names::label_value(value.text()));
    }
}

pub(super) fn annotations(at: &At<'_>, errors: &mut ErrorList) {
    let mut size = 0;
    for (key, value) in at.entries() {
        errors.extend_invalid(&at.path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.text().len();
    }
    if size > MAX_ANNOTATIONS {
        errors.push(object::field::Error::too_long(&at.path, MAX_ANNOTATIONS));
    }
}

/// A `LabelSelector`.
pub(super) fn selector(at: &At<'_>, errors: &mut ErrorList) {
    selector_with(at, false, errors);
}

/// The same; `any_values` lets values pass that no label can have.
pub(super) fn selector_with(at: &At<'_>, any_values: bool, errors: &mut ErrorList) {
    labels(&at.at("matchLabels"), errors);
    for expression in at.at("matchExpressions").items() {
        let (operator, values) = (expression.at("operator"), expression.at("values"));
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "Exists" | "DoesNotExist" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
        well_formed(&expression.at("key"), names::qualified_name, errors);
        if !any_values {
            values.items().for_each(|value| well_formed(&value, names::label_value, errors));
        }
    }
}

/// Labels of nodes that have newer names, or none.
const DEPRECATED: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// What to say about a label of nodes that should not be used any more.
pub(super) fn deprecation(key: &str) -> Option<&'static str> {
    DEPRECATED.iter().find(|(label, _)| *label == key).map(|(_, text)| *text)
}

/// What to say about a selector of nodes by such labels.
pub(super) fn selector_warnings(at: &At<'_>) -> Vec<String> {
    let keys = at.at("matchExpressions").items().map(|expression| expression.at("key"));
    let expressions =
        keys.filter_map(|key| deprecation(key.text()).map(|text| format!("{}: {} is {text}", key.path, key.text())));
    let labels = at.at("matchLabels");
    let labels = labels
        .entries()
        .filter_map(|(key, _)| deprecation(key).map(|text| format!("{}: {text}", labels.path.child(key))));
    expressions.chain(labels).collect()
}

/// Whether a selector can be applied: all of it is well formed.
pub(super) fn is_readable(at: &At<'_>) -> bool {
    let mut errors = ErrorList::new();
    selector(at, &mut errors);
    errors.is_empty()
}

/// Whether a selector selects nothing in particular.
pub(super) fn is_empty_selector(at: &At<'_>) -> bool {
    at.at("matchLabels").is_empty() && at.at("matchExpressions").is_empty()
}

/// Whether a `LabelSelector` selects the labels here.
pub(super) fn selects(selector: &At<'_>, labels: &At<'_>) -> bool {
    let matches = |expression: At<'_>| {
        let value = labels.value[expression.at("key").text()].as_str();
        let listed = || value.is_some_and(|value| expression.at("values").items().any(|v| v.text() == value));
        match expression.at("operator").text() {
            "In" => listed(),
            "NotIn" => !listed(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    let equal = |(key, value): (&str, At<'_>)| labels.value[key].as_str() == Some(value.text());
    selector.at("matchLabels").entries().all(equal) && selector.at("matchExpressions").items().all(matches)
}
