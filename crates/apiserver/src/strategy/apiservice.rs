//! Versions of groups, and the servers that have them.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Value, json};

use super::field::{At, required, supported, well_formed};
use super::{Context, Strategy, webhook};

const MAX_GROUP_PRIORITY: i64 = 20_000;
const MAX_VERSION_PRIORITY: i64 = 1_000;

pub(super) struct ApiService;

impl Strategy for ApiService {
    /// What this server has itself is there at once.
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        if object["spec"]["service"].is_null() {
            object["status"] = json!({ "conditions": [{
                "type": "Available",
                "status": "True",
                "lastTransitionTime": object::time::seconds(cx.now),
                "reason": "Local",
                "message": "Local APIServices are always available",
            }] });
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        if cx.subresource != "status" {
            let (name, mut errors) = (object::meta::name(object), ErrorList::new());
            let path = object::field::Path::new("metadata").child("name");
            errors.extend_invalid(&path, name, self.check_name_of(object, name, false));
            errors.extend(self.validate(cx, object));
            return errors;
        }
        let mut errors = ErrorList::new();
        for condition in At::root(object).at("status").at("conditions").items() {
            supported(&condition.at("status"), &["True", "False", "Unknown"], &mut errors);
        }
        errors
    }

    fn check_name(&self, name: &str, _: bool) -> Vec<String> {
        names::path_segment(name)
    }

    /// The name says version and group.
    fn check_name_of(&self, object: &Value, name: &str, prefix: bool) -> Vec<String> {
        let wrong = self.check_name(name, prefix);
        let text = |field: &str| object["spec"][field].as_str().unwrap_or_default();
        let wanted = format!("{}.{}", text("version"), text("group"));
        if wrong.is_empty() && name != wanted {
            return vec![format!("must be `spec.version+\".\"+spec.group`: \"{wanted}\"")];
        }
        wrong
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    let (group, version) = (spec.at("group"), spec.at("version"));
    if group.is_empty() && version.text() != "v1" {
        errors.push(group.required("only v1 may have an empty group and it better be legacy kube"));
    }
    if !group.is_empty() {
        well_formed(&group, names::dns1123_subdomain, errors);
    }
    well_formed(&version, names::dns1035_label, errors);
    for (field, max) in [("groupPriorityMinimum", MAX_GROUP_PRIORITY), ("versionPriority", MAX_VERSION_PRIORITY)] {
        let number = spec.at(field).number().unwrap_or_default();
        if !(1..=max).contains(&number) {
            let detail = format!("must be positive and less than {max}");
            errors.push(Error::invalid(&spec.path.child(field), number, detail));
        }
    }
    let (service, bundle, insecure) = (spec.at("service"), spec.at("caBundle"), spec.at("insecureSkipTLSVerify"));
    if service.is_set() {
        required(&service.at("namespace"), errors);
        required(&service.at("name"), errors);
        webhook::service_port(&service.at("port"), errors);
        if insecure.flag() && !bundle.is_empty() {
            errors.push(insecure.invalid("may not be true if caBundle is present"));
        }
        return;
    }
    if !bundle.is_empty() {
        let size = super::configmap::decoded_size(bundle.text());
        let detail = "local APIServices may not have a caBundle";
        errors.push(Error::invalid(&bundle.path, format!("{size} bytes"), detail));
    }
    if insecure.flag() {
        errors.push(insecure.invalid("local APIServices may not have insecureSkipTLSVerify"));
    }
}
