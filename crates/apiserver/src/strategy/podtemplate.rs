//! PodTemplates.

use object::field::ErrorList;
use serde_json::Value;

use super::field::At;
use super::{Context, Strategy, pod, workload};

pub(super) struct PodTemplate;

impl Strategy for PodTemplate {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        prepare(object, None);
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        prepare(object, Some(old));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        workload::template(&At::root(object).at("template"), &mut errors);
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        workload::updated_template(&At::root(object).at("template"), &old["template"], &mut errors);
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let same = old.is_some_and(|old| old["metadata"]["generation"] == object["metadata"]["generation"]);
        if same { Vec::new() } else { pod::template_warnings(&At::root(object).at("template")) }
    }

    fn returns_deleted(&self) -> bool {
        true
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn prepare(object: &mut Value, old: Option<&Value>) {
    if let Some(template) = object.get_mut("template") {
        pod::prepare_template(template, old.map(|old| &old["template"]));
    }
}
