//! PriorityClasses.

use object::field::{Error, ErrorList};
use serde_json::{Value, json};

use crate::strategy::field::{At, immutable};
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct PriorityClass;

const SYSTEM_PREFIX: &str = "system-";
/// The classes that are always there.
const SYSTEM: &[(&str, i64)] = &[("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
const HIGHEST: i64 = 1_000_000_000;
const POLICIES: &[&str] = &["PreemptLowerPriority", "Never"];

impl Strategy for PriorityClass {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        // Set once: nothing that a generation counts ever changes.
        object["metadata"]["generation"] = json!(1);
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let (name, value) = (root.at("metadata").at("name"), root.at("value"));
        if name.text().starts_with(SYSTEM_PREFIX) {
            if let Some(why) = unknown(name.text(), &root) {
                let text = format!(
                    "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
                );
                errors.push(name.forbidden(text));
            }
        } else if value.number().is_some_and(|value| value > HIGHEST) {
            let text = format!("maximum allowed value of a user defined priority is {HIGHEST}");
            errors.push(value.forbidden(text));
        }
        let policy = root.at("preemptionPolicy");
        if policy.is_set() && policy.is_empty() {
            errors.push(policy.required(""));
        } else if policy.is_set() && !POLICIES.contains(&policy.text()) {
            errors.push(policy.unsupported(POLICIES));
        }
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if object["value"] != old["value"] {
            errors.push(Error::forbidden(&root.at("value").path, "may not be changed in an update."));
        }
        immutable(&root.at("preemptionPolicy"), &old["preemptionPolicy"], &mut errors);
        errors
    }
}

/// Why a class with a system's name is none of the system's.
fn unknown(name: &str, class: &At<'_>) -> Option<String> {
    let Some((_, value)) = SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if class.at("value").number().unwrap_or(0) != *value {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    class.at("globalDefault").flag().then(|| format!("globalDefault of {name} PriorityClass must be false"))
}
