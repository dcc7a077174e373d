//! RuntimeClasses.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::field::{At, immutable, required_name};
use super::pod::options::Options;
use super::{Context, Strategy, labels, pod};

pub(super) struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        required_name(&root.at("handler"), names::dns1123_label, &mut errors);
        let overhead = root.at("overhead");
        if overhead.is_set() {
            let fixed = overhead.at("podFixed").shown(overhead.path);
            pod::resources::overhead(&fixed, &Options::default(), &mut errors);
        }
        let scheduling = root.at("scheduling");
        labels::labels(&scheduling.at("nodeSelector"), &mut errors);
        tolerations(&scheduling.at("tolerations"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        immutable(&At::root(object).at("handler"), &old["handler"], &mut errors);
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let selector = At::root(object).at("scheduling").at("nodeSelector");
        let deprecated = selector.entries().filter_map(|(key, _)| labels::deprecation(key));
        deprecated.map(|text| format!("{}: {text}", selector.path)).collect()
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn tolerations(at: &At<'_>, errors: &mut ErrorList) {
    pod::scheduling::tolerations(at, &Options::default(), errors);
    let mut seen = Vec::new();
    for toleration in at.items() {
        let key = ["key", "operator", "value", "effect"].map(|field| toleration.at(field).text());
        if seen.contains(&key) {
            let ty = schema::Type::builtin("core.v1.Toleration");
            let shown = ty.map_or(Value::Null, |ty| schema::internal(&ty, toleration.value));
            errors.push(Error::duplicate(&toleration.path, shown));
        }
        seen.push(key);
    }
}
