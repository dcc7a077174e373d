//! Defaulting: the overlay's constants and rules applied to every part of an object.

use serde_json::Value;

use crate::facts::{Facts, Shape, Type, TypeId};

/// Completes an object as the server does before it validates it. Works in place; what is there is never changed.
pub fn default(ty: &Type, object: &mut Value) {
    object_defaults(ty.facts(), ty.id(), object);
}

fn object_defaults(facts: &Facts, id: TypeId, value: &mut Value) {
    let ty = facts.get(id);
    let Value::Object(object) = value else { return };
    if !ty.defaults.reachable {
        return;
    }
    for (position, constant) in &ty.defaults.constants {
        let name = &*ty.fields[*position].name;
        if object.get(name).is_none_or(|v| v.is_null() || v == "") {
            object.insert(name.to_owned(), constant.clone());
        }
    }
    if let Some(rule) = ty.defaults.rule {
        rule(object);
    }
    for (name, value) in object.iter_mut() {
        if let Some(field) = ty.field(name) {
            shape_defaults(facts, &field.shape, value);
        }
    }
}

fn shape_defaults(facts: &Facts, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Object(id), value) => object_defaults(facts, *id, value),
        (Shape::List(item), Value::Array(items)) => {
            items.iter_mut().for_each(|value| shape_defaults(facts, item, value));
        }
        (Shape::Map(item), Value::Object(entries)) => {
            entries.values_mut().for_each(|value| shape_defaults(facts, item, value));
        }
        _ => {}
    }
}
