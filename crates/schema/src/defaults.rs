//! Defaulting: the overlay's constants and rules applied to every part of an object.

use serde_json::{Map, Value};

use crate::facts::{Facts, Field, Presence, Shape, Type, TypeFacts, TypeId};

/// Completes a normalised object as the server does before it validates it, in place. What is there is not changed,
/// and the canonical order is kept.
pub fn default(ty: &Type, object: &mut Value) {
    object_defaults(ty.facts(), ty.id(), object);
}

fn object_defaults(facts: &Facts, id: TypeId, value: &mut Value) {
    let ty = facts.get(id);
    let Value::Object(object) = value else { return };
    if !ty.defaults.reachable {
        // a rule above may have added fields even here
        restore_order(ty, object);
        return;
    }
    for (position, constant) in &ty.defaults.constants {
        let field = &ty.fields[*position];
        if is_absent(field, object.get(&*field.name)) {
            object.insert(field.name.as_ref().to_owned(), constant.clone());
        }
    }
    if let Some(rule) = ty.defaults.rule {
        rule(object);
    }
    restore_order(ty, object);
    let mut next = 0;
    for (name, value) in object.iter_mut() {
        if let Some(position) = ty.position(name, next) {
            shape_defaults(facts, &ty.fields[position].shape, value);
            next = position + 1;
        }
    }
}

fn shape_defaults(facts: &Facts, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Object(id), value) => object_defaults(facts, *id, value),
        (Shape::List(item), Value::Array(items)) if item.object().is_some() => {
            items.iter_mut().for_each(|value| shape_defaults(facts, item, value));
        }
        (Shape::Map(item), Value::Object(entries)) if item.object().is_some() => {
            entries.values_mut().for_each(|value| shape_defaults(facts, item, value));
        }
        _ => {}
    }
}

/// Go's notion: a pointer is absent when it is nil, anything else when it is zero.
fn is_absent(field: &Field, value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(_) if field.presence == Presence::OmitNull => false,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_i64() == Some(0),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Bool(_) | Value::Object(_)) => false,
    }
}

/// Puts fields that were appended where they belong.
fn restore_order(ty: &TypeFacts, object: &mut Map<String, Value>) {
    let mut last = 0;
    let ordered = object.keys().all(|name| match ty.position(name, last) {
        Some(position) if position >= last => {
            last = position + 1;
            true
        }
        Some(_) => false,
        None => true,
    });
    if !ordered {
        let mut fields: Vec<(usize, (String, Value))> = std::mem::take(object)
            .into_iter()
            .map(|entry| (ty.position(&entry.0, 0).unwrap_or(usize::MAX), entry))
            .collect();
        fields.sort_by_key(|(position, _)| *position);
        object.extend(fields.into_iter().map(|(_, entry)| entry));
    }
}

#[cfg(test)]
mod tests;
