//! VolumeAttachments.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::size;
use crate::strategy::field::At;
use crate::strategy::reference::csi_driver;
use crate::strategy::shown::immutable_struct;
use crate::strategy::{Context, Strategy, persistentvolume, status};

pub(in crate::strategy) struct VolumeAttachment;

const MAX_METADATA: usize = 256 << 10;
const MAX_MESSAGE: usize = 1024;

impl Strategy for VolumeAttachment {
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            status::keep_metadata(object, old, status::IDENTITY);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let spec = root.at("spec");
        let (source, node) = (spec.at("source"), spec.at("nodeName"));
        csi_driver(&spec.at("attacher"), &mut errors);
        validate_source(&source, &mut errors);
        errors.extend_invalid(&node.path, node.text(), names::dns1123_subdomain(node.text()));
        validate_status(&root.at("status"), &mut errors);
        let volume = source.at("persistentVolumeName");
        if volume.is_set() {
            let path = Path::new("spec.source.persistentVolumeName");
            errors.extend_invalid(&path, volume.text(), names::dns1123_subdomain(volume.text()));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        let spec = At::root(object).at("spec");
        immutable_struct(&spec, &old["spec"], "storage.v1.VolumeAttachmentSpec", &mut errors);
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_source(at: &At<'_>, errors: &mut ErrorList) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (inline, name) = (at.at("inlineVolumeSpec"), at.at("persistentVolumeName"));
    match (inline.is_set(), name.is_set()) {
        (false, false) => errors.push(at.required(ONE)),
        (true, true) => errors.push(at.forbidden(ONE)),
        (true, false) => persistentvolume::inline(&inline, errors),
        (false, true) if name.is_empty() => errors.push(name.required("must specify non empty persistentVolumeName")),
        _ => {}
    }
}

fn validate_status(at: &At<'_>, errors: &mut ErrorList) {
    let metadata = at.at("attachmentMetadata");
    if size(&metadata) > MAX_METADATA {
        errors.push(Error::too_long(&metadata.path, MAX_METADATA));
    }
    for error in [at.at("attachError"), at.at("detachError")] {
        let (message, code) = (error.at("message"), error.at("errorCode"));
        if message.text().len() > MAX_MESSAGE {
            // The limit that is named is upstream's mistake.
            errors.push(Error::too_long(&message.path, MAX_METADATA));
        }
        if code.number().is_some_and(|code| code < 0) {
            errors.push(code.invalid("must be between 0 and 2147483647, inclusive"));
        }
    }
}
