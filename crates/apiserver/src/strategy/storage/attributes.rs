//! VolumeAttributesClasses.

use object::field::ErrorList;
use serde_json::Value;

use super::{parameters, provisioner};
use crate::strategy::field::At;
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct VolumeAttributesClass;

impl Strategy for VolumeAttributesClass {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        provisioner(&root.at("driverName"), &mut errors);
        let given = root.at("parameters");
        parameters(&given, &mut errors);
        if given.is_empty() {
            errors.push(given.required("must contain at least one key/value pair"));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        for field in ["driverName", "parameters"] {
            if root.value[field] != old[field] {
                errors.push(root.at(field).forbidden(format!("updates to {field} are forbidden.")));
            }
        }
        errors.extend(self.validate(cx, object));
        errors
    }
}
