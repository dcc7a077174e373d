//! Strategic merge patch: a merge patch that knows which lists are merged entry by entry, and by which key.
//!
//! Directives steer it: `$patch` (`replace`, `delete`, `merge`) in objects and list entries, `$retainKeys`,
//! `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>` beside the field they are about.

mod list;
mod order;

use schema::Node;
use serde_json::{Map, Value};

use crate::Error;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// What a patch may be made of: objects, deeply nested ones are refused.
type Object = Map<String, Value>;

/// Deeper patches are refused.
const MAX_DEPTH: usize = 128;

/// Applies `patch` to `target`, whose shape is `node`.
///
/// # Errors
/// [`Error::Malformed`] for wrong directives and entries without their merge key.
pub fn apply(target: &mut Value, patch: &Value, node: Node<'_>) -> Result<(), Error> {
    let (Value::Object(target), Value::Object(patch)) = (target, patch) else {
        return Err(Error::Malformed("a strategic merge patch is an object, for an object".to_owned()));
    };
    merge_object(target, patch, Some(node), 0)
}

/// Merges `patch` into `target`. Without a node, lists are replaced.
fn merge_object(target: &mut Object, patch: &Object, node: Option<Node<'_>>, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooLarge(format!("the patch is nested more than {MAX_DEPTH} deep")));
    }
    match patch.get(PATCH) {
        None => {}
        Some(directive) => match directive.as_str() {
            Some("merge") => {}
            Some("replace") => {
                *target =
                    patch.iter().filter(|(name, _)| *name != PATCH).map(|(n, v)| (n.clone(), v.clone())).collect();
                return Ok(());
            }
            Some("delete") => {
                target.clear();
                return Ok(());
            }
            _ => return Err(Error::Malformed(format!("unknown directive {PATCH}: {directive}"))),
        },
    }
    retain_keys(target, patch)?;
    delete_from_lists(target, patch)?;
    for (name, value) in patch.iter().filter(|(name, _)| !is_directive(name)) {
        let node = node.and_then(|node| node.field(name));
        let order = patch.get(&format!("{SET_ORDER}{name}"));
        merge_field(target, name, value, order, node, depth)?;
    }
    order_alone(target, patch, node)
}

fn is_directive(name: &str) -> bool {
    name == PATCH || name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER)
}

fn merge_field(
    target: &mut Object,
    name: &str,
    patch: &Value,
    order: Option<&Value>,
    node: Option<Node<'_>>,
    depth: usize,
) -> Result<(), Error> {
    match patch {
        Value::Null => drop(target.shift_remove(name)),
        Value::Object(patch) => {
            let place = target.entry(name).or_insert_with(|| Value::Object(Object::new()));
            if !place.is_object() {
                *place = Value::Object(Object::new());
            }
            if let Value::Object(target) = place {
                merge_object(target, patch, node, depth + 1)?;
            }
        }
        Value::Array(patch) if node.is_some_and(|node| node.is_merged()) => {
            let place = target.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            if let (Value::Array(target), Some(node)) = (place, node) {
                list::merge(target, patch, order, node, depth + 1)?;
            }
        }
        other => drop(target.insert(name.to_owned(), other.clone())),
    }
    Ok(())
}

/// `$retainKeys` clears what it does not list, and must list what the patch sets.
fn retain_keys(target: &mut Object, patch: &Object) -> Result<(), Error> {
    let Some(directive) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let kept: Option<Vec<&str>> = directive.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
    let Some(kept) = kept else {
        return Err(Error::Malformed(format!("{RETAIN_KEYS} is a list of field names")));
    };
    if let Some(name) = patch.keys().find(|name| !is_directive(name) && !kept.contains(&name.as_str())) {
        return Err(Error::Malformed(format!("{RETAIN_KEYS} does not list {name}, which the patch sets")));
    }
    target.retain(|name, _| kept.contains(&name.as_str()));
    Ok(())
}

fn delete_from_lists(target: &mut Object, patch: &Object) -> Result<(), Error> {
    for (name, deleted) in patch.iter().filter_map(|(name, v)| Some((name.strip_prefix(DELETE_FROM)?, v))) {
        let Value::Array(deleted) = deleted else {
            return Err(Error::Malformed(format!("{DELETE_FROM}{name} is a list")));
        };
        if let Some(Value::Array(items)) = target.get_mut(name) {
            items.retain(|item| !deleted.contains(item));
        }
    }
    Ok(())
}

/// Reorders the lists for which the patch has an order and no entries.
fn order_alone(target: &mut Object, patch: &Object, node: Option<Node<'_>>) -> Result<(), Error> {
    for (name, order) in patch.iter().filter_map(|(name, v)| Some((name.strip_prefix(SET_ORDER)?, v))) {
        let key = node.and_then(|node| node.field(name)).and_then(|node| node.merge_key());
        let order = order::parse(order, name, key)?;
        if !patch.contains_key(name)
            && let Some(Value::Array(items)) = target.get_mut(name)
        {
            let original = items.clone();
            order::arrange(items, &order, &original, key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
