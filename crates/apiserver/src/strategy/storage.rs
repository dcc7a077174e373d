//! The kinds of `storage.k8s.io`.

mod attachment;
mod attributes;
mod capacity;
mod class;
mod driver;
mod node;

use object::field::{Error, ErrorList};
use object::names;

pub(super) use attachment::VolumeAttachment;
pub(super) use attributes::VolumeAttributesClass;
pub(super) use capacity::StorageCapacity;
pub(super) use class::StorageClass;
pub(super) use driver::CsiDriver;
pub(super) use node::CsiNode;

use super::field::At;

const MAX_PARAMETERS: usize = 512;
const MAX_PARAMETERS_SIZE: usize = 256 << 10;

/// The name of a driver, in any case.
fn provisioner(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
        return;
    }
    let name = at.text().to_lowercase();
    errors.extend_invalid(&at.path, &name, names::qualified_name(&name));
}

/// What is handed to a driver.
fn parameters(at: &At<'_>, errors: &mut ErrorList) {
    if at.entries().count() > MAX_PARAMETERS {
        errors.push(Error::too_long(&at.path, MAX_PARAMETERS));
        return;
    }
    if at.entries().any(|(key, _)| key.is_empty()) {
        errors.push(Error::invalid(&at.path, "", "field can not be empty."));
    }
    if size(at) > MAX_PARAMETERS_SIZE {
        errors.push(Error::too_long(&at.path, MAX_PARAMETERS_SIZE));
    }
}

/// What the keys and values of a map of texts weigh.
fn size(at: &At<'_>) -> usize {
    at.entries().map(|(key, value)| key.len() + value.text().len()).sum()
}
