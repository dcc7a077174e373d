//! CSIStorageCapacities: what is left of a class on some nodes.

use object::Quantity;
use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, immutable};
use crate::strategy::{Context, Strategy, labels};

pub(in crate::strategy) struct StorageCapacity;

impl Strategy for StorageCapacity {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        labels::selector(&root.at("nodeTopology"), &mut errors);
        let (class, capacity) = (root.at("storageClassName"), root.at("capacity"));
        errors.extend_invalid(&class.path, class.text(), names::dns1123_subdomain(class.text()));
        if Quantity::parse(capacity.text()).is_ok_and(|quantity| quantity.is_negative()) {
            errors.push(capacity.invalid("must be greater than or equal to 0"));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), self.validate(cx, object));
        immutable(&root.at("nodeTopology"), &old["nodeTopology"], &mut errors);
        let class = root.at("storageClassName");
        if *class.value != old["storageClassName"] {
            errors.push(Error::invalid(&class.path, class.text(), "field is immutable"));
        }
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        labels::selector_warnings(&At::root(object).at("nodeTopology"))
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}
