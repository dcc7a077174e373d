//! ControllerRevisions: what a workload looked like.

use object::field::ErrorList;
use serde_json::Value;

use super::field::{At, immutable, non_negative};
use super::{Context, Strategy};

pub(super) struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        non_negative(&root.at("revision"), &mut errors);
        let data = root.at("data");
        match data.value {
            Value::Object(_) => {}
            Value::Null => errors.push(data.required("data is mandatory")),
            _ => errors.push(data.required("data must be a valid JSON object")),
        }
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        non_negative(&root.at("revision"), &mut errors);
        immutable(&root.at("data"), &old["data"], &mut errors);
        errors
    }
}
