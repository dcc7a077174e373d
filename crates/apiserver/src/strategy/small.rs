//! Kinds that differ from all others in one or two things.

use std::time::Duration;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::{At, one_of, port, well_formed};
use super::{Collection, Context, Strategy, labels, workload};

/// How long events are kept.
const EVENT_TTL: Duration = Duration::from_secs(3600);

/// Deleting answers with what was deleted, and nothing else is special.
pub(super) struct Returned;

impl Strategy for Returned {
    fn returns_deleted(&self) -> bool {
        true
    }
}

/// Roles and bindings: their names go into paths as they are.
pub(super) struct Rbac;

impl Strategy for Rbac {
    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        if prefix { names::path_segment_prefix(name) } else { names::path_segment(name) }
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        let role = At::root(object).at("roleRef");
        if role.value != &old["roleRef"] {
            errors.push(role.invalid("cannot change roleRef"));
        }
        errors
    }
}

pub(super) struct Event;

impl Strategy for Event {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let key = if object["regarding"].is_null() { "involvedObject" } else { "regarding" };
        let subject = root.at(key).at("namespace");
        let namespace = object::meta::namespace(object);
        let expected = if subject.is_empty() { "default" } else { subject.text() };
        if namespace != expected && !(subject.is_empty() && namespace == "kube-system") {
            let path = Path::new("involvedObject.namespace");
            errors.push(Error::invalid(&path, subject.text(), "does not match event.namespace"));
        }
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn time_to_live(&self) -> Option<Duration> {
        Some(EVENT_TTL)
    }

    fn collection(&self) -> Collection {
        Collection::Unsupported
    }
}

pub(super) struct Endpoints;

impl Strategy for Endpoints {
    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        for subset in At::root(object).at("subsets").items() {
            let (ready, unready) = (subset.at("addresses"), subset.at("notReadyAddresses"));
            if ready.is_empty() && unready.is_empty() {
                errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
            }
            for address in ready.items().chain(unready.items()) {
                well_formed(&address.at("ip"), names::ip, &mut errors);
            }
            endpoint_ports(&subset.at("ports"), &mut errors);
        }
        errors
    }
}

fn endpoint_ports(at: &At<'_>, errors: &mut ErrorList) {
    let several = at.items().count() > 1;
    for entry in at.items() {
        let name = entry.at("name");
        if several && name.is_empty() {
            errors.push(name.required(""));
        } else if !name.is_empty() {
            well_formed(&name, names::dns1123_label, errors);
        }
        port(&entry.at("port"), errors);
        one_of(&entry.at("protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

pub(super) struct PodTemplate;

impl Strategy for PodTemplate {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        workload::template(&At::root(object).at("template"), &mut errors);
        errors
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

/// ReplicationControllers: like ReplicaSets, with the simpler selector of their time.
pub(super) struct ReplicationController;

impl Strategy for ReplicationController {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        workload::counts(&spec, &["replicas", "minReadySeconds"], &mut errors);
        let (selector, template) = (spec.at("selector"), spec.at("template"));
        if selector.is_empty() {
            errors.push(selector.required(""));
        }
        if !template.is_set() {
            errors.push(template.required(""));
            return errors;
        }
        let pod_labels = template.at("metadata").at("labels");
        if !selector.entries().all(|(key, value)| &pod_labels.value[key] == value.value) {
            errors.push(pod_labels.invalid("`selector` does not match template `labels`"));
        }
        workload::template(&template, &mut errors);
        workload::restarts_always(&template, "ReplicationController", &mut errors);
        labels::labels(&selector, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        if cx.subresource == "status" { ErrorList::new() } else { self.validate(cx, object) }
    }

    fn tracks_generation(&self) -> bool {
        true
    }

    fn collection(&self) -> Collection {
        Collection::Orphan
    }
}
