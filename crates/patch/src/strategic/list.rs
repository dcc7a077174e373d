//! Merging lists: by key, or as sets of primitives.

use schema::Node;
use serde_json::Value;

use super::{Object, PATCH, merge_object, order};
use crate::Error;

/// What a list entry of the patch says about its like in the target.
enum Directive {
    Merge,
    /// Entries with this key go.
    Delete,
    /// The whole list becomes the patch's other entries.
    ReplaceList,
}

/// Merges the entries of `patch` into `target` and orders the result as `order` (or the patch itself) says.
pub(super) fn merge(
    target: &mut Vec<Value>,
    patch: &[Value],
    order: Option<&Value>,
    node: Node<'_>,
    depth: usize,
) -> Result<(), Error> {
    let original = target.clone();
    let key = node.merge_key();
    match key {
        Some(key) => {
            if merge_by_key(target, patch, key, node, depth)? {
                return Ok(());
            }
        }
        None => patch.iter().for_each(|item| {
            if !target.contains(item) {
                target.push(item.clone());
            }
        }),
    }
    let name = node.facts().map_or("", |field| &field.name);
    let order = match order {
        Some(order) => order::parse(order, name, key)?,
        None => patch.iter().filter(|item| !is_special(item)).cloned().collect(),
    };
    order::check(patch.iter().filter(|item| !is_special(item)), &order, name, key)?;
    order::arrange(target, &order, &original, key);
    Ok(())
}

/// Returns whether the patch replaced the list as a whole.
fn merge_by_key(
    target: &mut Vec<Value>,
    patch: &[Value],
    key: &str,
    node: Node<'_>,
    depth: usize,
) -> Result<bool, Error> {
    let entries = patch.iter().map(|item| entry(item, key)).collect::<Result<Vec<_>, _>>()?;
    if entries.iter().any(|(_, directive)| matches!(directive, Directive::ReplaceList)) {
        *target = patch.iter().filter(|item| !is_special(item)).cloned().collect();
        return Ok(true);
    }
    for (entry, _) in entries.iter().filter(|(_, directive)| matches!(directive, Directive::Delete)) {
        target.retain(|item| item.get(key) != entry.get(key));
    }
    for (entry, _) in entries.iter().filter(|(_, directive)| matches!(directive, Directive::Merge)) {
        let known = target.iter().position(|item| item.get(key) == entry.get(key));
        let at = known.unwrap_or_else(|| {
            target.push(Value::Object(Object::new()));
            target.len() - 1
        });
        if !target[at].is_object() {
            target[at] = Value::Object(Object::new());
        }
        if let Value::Object(item) = &mut target[at] {
            merge_object(item, entry, node.item(), depth)?;
        }
    }
    Ok(false)
}

fn entry<'a>(item: &'a Value, key: &str) -> Result<(&'a Object, Directive), Error> {
    let Value::Object(entry) = item else {
        return Err(Error::Malformed(format!("an entry of a list that is merged by {key} is not an object")));
    };
    let directive = match entry.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => Directive::Merge,
        Some(Some("delete")) => Directive::Delete,
        Some(Some("replace")) => return Ok((entry, Directive::ReplaceList)),
        Some(_) => return Err(Error::Malformed(format!("unknown directive {PATCH}: {}", entry[PATCH]))),
    };
    if !entry.contains_key(key) {
        return Err(Error::Malformed(format!("map: {item} does not contain declared merge key: {key}")));
    }
    Ok((entry, directive))
}

/// Whether an entry of a patch is not one of the resulting list.
fn is_special(item: &Value) -> bool {
    matches!(item.get(PATCH).and_then(Value::as_str), Some("delete" | "replace"))
}
