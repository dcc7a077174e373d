//! CSINodes: the drivers of a node.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, non_negative, remove};
use crate::strategy::reference::csi_driver;
use crate::strategy::shown::immutable_struct;
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct CsiNode;

const MAX_NODE_ID: usize = 256;

impl Strategy for CsiNode {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let mut seen = BTreeSet::new();
        for driver in At::root(object).at("spec").at("drivers").items() {
            let (name, id) = (driver.at("name"), driver.at("nodeID"));
            csi_driver(&name, &mut errors);
            node_id(&id, &mut errors);
            non_negative(&driver.at("allocatable").at("count"), &mut errors);
            if !seen.insert(name.text()) {
                errors.push(Error::duplicate(&name.path, name.text()));
            }
            topology(&driver, &mut errors);
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        let drivers = |object| At::root(object).at("spec").at("drivers");
        for before in drivers(old).items() {
            for driver in drivers(object).items().filter(|driver| driver.value["name"] == before.value["name"]) {
                let (new, old) = (fixed(driver.value), fixed(before.value));
                let at = At { value: &new, path: Path::new("spec.drivers") };
                immutable_struct(&at, &old, "storage.v1.CSINodeDriver", &mut errors);
            }
        }
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

/// What never changes of a driver: all but how much it takes.
fn fixed(driver: &Value) -> Value {
    let mut driver = driver.clone();
    remove(&mut driver, "allocatable");
    driver
}

fn node_id(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
    }
    if at.text().len() > MAX_NODE_ID {
        errors.push(at.invalid(format!("must be {MAX_NODE_ID} characters or less")));
    }
}

fn topology(driver: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for key in driver.at("topologyKeys").items().map(|key| key.text()) {
        if key.is_empty() {
            errors.push(driver.required(""));
        }
        if !seen.insert(key) {
            errors.push(Error::duplicate(&driver.path, key));
        }
        errors.extend_invalid(&driver.path, key, names::qualified_name(key));
    }
}
