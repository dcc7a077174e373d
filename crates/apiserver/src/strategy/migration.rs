//! StorageVersionMigrations.

use object::field::ErrorList;
use object::names;
use serde_json::Value;

use super::field::{At, immutable};
use super::shown::immutable_struct;
use super::{Context, Strategy, status};

pub(super) struct Migration;

impl Strategy for Migration {
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            status::keep_metadata(object, old, status::IDENTITY);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (target, mut errors) = (At::root(object).at("spec").at("resource"), ErrorList::new());
        let (resource, group) = (target.at("resource"), target.at("group"));
        let messages = names::dns1035_label(resource.text());
        if resource.is_empty() {
            errors.push(resource.required("resource is required to be set"));
        } else if !messages.is_empty() {
            errors.push(resource.invalid(messages.join(",")));
        }
        let messages = names::dns1123_subdomain(group.text());
        if !group.is_empty() && !messages.is_empty() {
            errors.push(group.invalid(messages.join(",")));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            return validate_status(object, old);
        }
        let mut errors = self.validate(cx, object);
        let ty = "storagemigration.v1beta1.StorageVersionMigrationSpec";
        immutable_struct(&At::root(object).at("spec"), &old["spec"], ty, &mut errors);
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_status(object: &Value, old: &Value) -> ErrorList {
    let (at, mut errors) = (At::root(object).at("status"), ErrorList::new());
    let (version, conditions) = (at.at("resourceVersion"), at.at("conditions"));
    if let Some(why) = Some(version.text()).filter(|text| !text.is_empty()).and_then(version_problem) {
        errors.push(version.invalid(why));
    }
    status::conditions(&conditions, &mut errors);
    if !old["status"]["resourceVersion"].is_null() {
        immutable(&version, &old["status"]["resourceVersion"], &mut errors);
    }
    let (succeeds, fails) = ("Succeeded", "Failed");
    if status::is_true(object, succeeds) && status::is_true(object, fails) {
        errors.push(conditions.invalid("Both success and failed conditions cannot be true at the same time"));
    }
    for (kind, name) in [(succeeds, "Success"), (fails, "Failed")] {
        if status::is_true(old, kind) && !status::is_true(object, kind) {
            errors.push(conditions.invalid(format!("{name} condition cannot be set to false once it is true")));
        }
    }
    errors
}

/// Revisions are numbers without leading zeros.
fn version_problem(text: &str) -> Option<String> {
    let well_formed = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    (!well_formed).then(|| format!("resource version is not well formed: {text}"))
}
