//! Kinds that differ from all others in one or two things.

use std::time::Duration;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::At;
use super::{Collection, Context, Strategy};

/// How long events are kept.
const EVENT_TTL: Duration = Duration::from_secs(3600);

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
