//! StorageClasses.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{parameters, provisioner};
use crate::strategy::field::{At, immutable, well_formed};
use crate::strategy::{Context, Strategy, labels};

pub(in crate::strategy) struct StorageClass;

const POLICIES: &[&str] = &["Delete", "Retain"];
const MODES: &[&str] = &["Immediate", "WaitForFirstConsumer"];
const IMMUTABLE: &[&str] = &["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"];

impl Strategy for StorageClass {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        provisioner(&root.at("provisioner"), &mut errors);
        parameters(&root.at("parameters"), &mut errors);
        let (policy, mode) = (root.at("reclaimPolicy"), root.at("volumeBindingMode"));
        if !policy.is_empty() && !POLICIES.contains(&policy.text()) {
            errors.push(policy.unsupported(POLICIES));
        }
        if !mode.is_set() {
            errors.push(mode.required(""));
        } else if !MODES.contains(&mode.text()) {
            errors.push(mode.unsupported(MODES));
        }
        topologies(&root.at("allowedTopologies"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        for field in IMMUTABLE {
            immutable(&At::root(object).at(field), &old[*field], &mut errors);
        }
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let terms = At::root(object).at("allowedTopologies");
        let keys = terms.items().flat_map(|term| term.at("matchLabelExpressions").items()).map(|item| item.at("key"));
        keys.filter_map(|key| labels::deprecation(key.text()).map(|text| format!("{}: {text}", key.path))).collect()
    }
}

fn topologies(at: &At<'_>, errors: &mut ErrorList) {
    // Upstream starts with an empty entry for each term, so that an empty term repeats them all.
    let mut seen: Vec<Vec<(String, Vec<String>)>> = vec![Vec::new(); at.items().count()];
    for term in at.items() {
        let expressions = term.at("matchLabelExpressions");
        let mut keys: Vec<(String, Vec<String>)> = Vec::new();
        for requirement in expressions.items() {
            let (key, values) = (requirement.at("key"), values(&requirement, errors));
            well_formed(&key, names::qualified_name, errors);
            if keys.iter().any(|(known, _)| known == key.text()) {
                errors.push(key.duplicate());
            }
            keys.retain(|(known, _)| known != key.text());
            keys.push((key.text().to_owned(), values));
        }
        keys.sort();
        errors.extend(seen.iter().filter(|other| **other == keys).map(|_| Error::duplicate(&expressions.path, "")));
        seen.push(keys);
    }
}

fn values(requirement: &At<'_>, errors: &mut ErrorList) -> Vec<String> {
    let values = requirement.at("values");
    if values.is_empty() {
        errors.push(values.required(""));
    }
    let mut seen: Vec<String> = Vec::new();
    for value in values.items() {
        if seen.iter().any(|known| known == value.text()) {
            errors.push(value.duplicate());
        } else {
            seen.push(value.text().to_owned());
        }
    }
    seen.sort();
    seen
}
