//! IPAddresses: they stand for addresses in use and are named by them.

use object::field::ErrorList;
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, optional_name};
use crate::strategy::reference::{named, optional_group};
use crate::strategy::shown::immutable_struct;
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct IpAddress;

impl Strategy for IpAddress {
    fn check_name(&self, name: &str, _: bool) -> Vec<String> {
        names::canonical_ip(name)
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (parent, mut errors) = (At::root(object).at("spec").at("parentRef"), ErrorList::new());
        if !parent.is_set() {
            errors.push(parent.required(""));
            return errors;
        }
        optional_group(&parent.at("group"), &mut errors);
        named(&parent, &["resource", "name"], &mut errors);
        optional_name(&parent.at("namespace"), names::path_segment, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        let parent = At::root(object).at("spec").at("parentRef");
        immutable_struct(&parent, &old["spec"]["parentRef"], "networking.v1.ParentReference", &mut errors);
        errors
    }
}
