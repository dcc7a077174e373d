//! Namespaces: they go once what is in them is gone.

use object::field::ErrorList;
use object::names;
use serde_json::{Value, json};

use super::field::{At, object_at, well_formed};
use super::{Context, Strategy, without_final_dash};

pub(super) struct Namespace;

/// The finalizer of the controller that empties namespaces.
const FINALIZER: &str = "kubernetes";
/// The label that every namespace has, so that selectors can name it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Strategy for Namespace {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object["status"] = json!({"phase": "Active"});
        let finalizers = object_at(object, "spec").entry("finalizers").or_insert_with(|| json!([]));
        if let Value::Array(finalizers) = finalizers
            && !finalizers.iter().any(|finalizer| finalizer == FINALIZER)
        {
            finalizers.push(FINALIZER.into());
        }
        label(object);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        match cx.subresource {
            "finalize" => object["status"] = old["status"].clone(),
            "status" => {}
            _ => {
                object["spec"] = old["spec"].clone();
                object["status"] = old["status"].clone();
            }
        }
        label(object);
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        for finalizer in At::root(object).at("spec").at("finalizers").items() {
            well_formed(&finalizer, names::qualified_name, &mut errors);
            if !finalizer.text().contains('/') && finalizer.text() != FINALIZER {
                errors.push(finalizer.invalid("name is neither a standard finalizer name nor is it fully qualified"));
            }
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        if cx.subresource != "status" {
            return errors;
        }
        let (object, deleting) = (At::root(object), object["metadata"]["deletionTimestamp"].is_string());
        let phase = object.at("status").at("phase");
        if deleting && phase.text() != "Terminating" {
            errors.push(phase.invalid("may only be 'Terminating' if `deletionTimestamp` is not empty"));
        } else if !deleting && phase.text() != "Active" {
            errors.push(phase.invalid("may only be 'Active' if `deletionTimestamp` is empty"));
        }
        errors
    }

    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::dns1123_label(&without_final_dash(name, prefix))
    }

    fn may_go(&self, object: &Value) -> bool {
        At::root(object).at("spec").at("finalizers").is_empty()
    }

    fn mark_deleted(&self, _: &Context<'_>, object: &mut Value) {
        object_at(object, "status").insert("phase".to_owned(), "Terminating".into());
    }
}

fn label(object: &mut Value) {
    let name = object::meta::name(object).to_owned();
    if !name.is_empty() {
        object_at(&mut object["metadata"], "labels").insert(NAME_LABEL.to_owned(), name.into());
    }
}
