//! IngressClasses: who serves an Ingress.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, immutable, well_formed};
use crate::strategy::reference::{domain_prefixed_path, named};
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct IngressClass;

const MAX_CONTROLLER: usize = 250;
const SCOPES: &[&str] = &["Cluster", "Namespace"];

impl Strategy for IngressClass {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let controller = spec.at("controller");
        if controller.text().len() > MAX_CONTROLLER {
            errors.push(Error::too_long(&controller.path, MAX_CONTROLLER));
        }
        domain_prefixed_path(&controller, &mut errors);
        let parameters = spec.at("parameters");
        if parameters.is_set() {
            reference(&parameters, &mut errors);
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable(&At::root(object).at("spec").at("controller"), &old["spec"]["controller"], &mut errors);
        errors.extend(self.validate(cx, object));
        errors
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn reference(at: &At<'_>, errors: &mut ErrorList) {
    let (group, scope, namespace) = (at.at("apiGroup"), at.at("scope"), at.at("namespace"));
    if group.is_set() {
        well_formed(&group, names::dns1123_subdomain, errors);
    }
    named(at, &["kind", "name"], errors);
    match scope.text() {
        "Namespace" if !namespace.is_set() => {
            errors.push(namespace.required("`parameters.scope` is set to 'Namespace'"));
        }
        "Namespace" => well_formed(&namespace, names::dns1123_label, errors),
        "Cluster" if namespace.is_set() => {
            errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'"));
        }
        "Cluster" => {}
        _ if !scope.is_set() => errors.push(scope.required("")),
        _ => errors.push(scope.unsupported(SCOPES)),
    }
}
