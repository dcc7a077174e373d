//! Namespaces: they go once what is in them is gone.

use object::field::{Error, ErrorList, Path};
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
        let list = At::root(object).at("spec").at("finalizers");
        list.items().for_each(|finalizer| check(&finalizer.shown(list.path.clone()), &mut errors));
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        match cx.subresource {
            "finalize" => root.at("spec").at("finalizers").items().for_each(|at| check(&at, &mut errors)),
            "status" => phase(&root, &mut errors),
            _ => errors = self.validate(cx, object),
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

fn check(finalizer: &At<'_>, errors: &mut ErrorList) {
    well_formed(finalizer, names::qualified_name, errors);
    if !finalizer.text().contains('/') && !matches!(finalizer.text(), FINALIZER | "orphan" | "foregroundDeletion") {
        errors.push(finalizer.invalid("name is neither a standard finalizer name nor is it fully qualified"));
    }
}

fn phase(namespace: &At<'_>, errors: &mut ErrorList) {
    let phase = namespace.at("status").at("phase").shown(Path::new("status.Phase"));
    let (wanted, detail) = if namespace.at("metadata").at("deletionTimestamp").is_set() {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    if phase.text() != wanted {
        errors.push(Error::invalid(&phase.path, phase.text(), detail));
    }
}

fn label(object: &mut Value) {
    let name = object::meta::name(object).to_owned();
    if !name.is_empty() {
        object_at(&mut object["metadata"], "labels").insert(NAME_LABEL.to_owned(), name.into());
    }
}
