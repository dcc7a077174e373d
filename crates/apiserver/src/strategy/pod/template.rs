//! Templates of pods, in the kinds that make pods from them.

use object::field::ErrorList;
use serde_json::Value;

use super::super::field::At;
use super::super::labels;
use super::options::Options;
use super::{annotations, prepare as disabled, spec, warnings as of_pods};

/// Drops from a template what belongs to features that are off, unless it was there before.
pub(in super::super) fn prepare(template: &mut Value, old: Option<&Value>) {
    disabled::drop_disabled(template, old);
}

/// Checks a template; `old` is what it was before.
pub(in super::super) fn validate(at: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let metadata = at.at("metadata").shown(at.path.clone());
    let options = Options::of(old.map(|old| (&old["spec"], &old["metadata"])));
    let spec_at = at.at("spec");
    labels::labels(&metadata.at("labels"), errors);
    labels::annotations(&metadata.at("annotations"), errors);
    annotations::validate(&metadata, &spec_at, &options, errors);
    spec::validate(&spec_at, None, &options, errors);
    annotations::agree(&metadata, &spec_at, errors);
    let ephemeral = spec_at.at("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// What a caller should know about a template.
pub(in super::super) fn warnings(at: &At<'_>) -> Vec<String> {
    of_pods::of(&at.at("metadata"), &at.at("spec"))
}
