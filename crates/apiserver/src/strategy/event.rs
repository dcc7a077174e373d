//! Events.

use std::time::Duration;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::{At, well_formed};
use super::{Collection, Context, Strategy};

pub(super) struct Event;

/// How long events are kept.
const TTL: Duration = Duration::from_secs(3600);
const MAX_WORDS: usize = 128;
const MAX_NOTE: usize = 1024;

impl Strategy for Event {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let subject = root.at("involvedObject").at("namespace");
        let namespace = object::meta::namespace(object);
        let timed = root.at("eventTime").is_set();
        let matches = match (timed, subject.text()) {
            (false, "") => matches!(namespace, "" | "default"),
            (false, of) => of == namespace,
            (true, "") => matches!(namespace, "default" | "kube-system"),
            (true, _) => true,
        };
        if !matches {
            errors.push(Error::invalid(&subject.path, subject.text(), "does not match event.namespace"));
        }
        if timed {
            reported(&root, &mut errors);
        }
        errors.extend_invalid(&Path::new("namespace"), namespace, names::dns1123_subdomain(namespace));
        errors
    }

    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        if prefix { names::path_segment_prefix(name) } else { names::path_segment(name) }
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn time_to_live(&self) -> Option<Duration> {
        Some(TTL)
    }

    fn collection(&self) -> Collection {
        Collection::Unsupported
    }
}

/// Who reports what; events with a time of their own say so.
fn reported(event: &At<'_>, errors: &mut ErrorList) {
    let controller = event.at("reportingComponent");
    if controller.is_empty() {
        errors.push(controller.required(""));
    }
    well_formed(&controller, names::qualified_name, errors);
    for (field, most) in [("reportingInstance", MAX_WORDS), ("action", MAX_WORDS), ("reason", MAX_WORDS)] {
        if event.at(field).is_empty() {
            errors.push(event.at(field).required(""));
        }
        at_most(&event.at(field), most, errors);
    }
    at_most(&event.at("message"), MAX_NOTE, errors);
}

fn at_most(at: &At<'_>, most: usize, errors: &mut ErrorList) {
    if at.text().len() > most {
        errors.push(Error::invalid(&at.path, "", format!("can have at most {most} characters")));
    }
}
