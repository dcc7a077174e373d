//! The order of merged lists: what the patch names comes in its order, the rest keeps its place as well as it can.

use serde_json::Value;

use crate::Error;

/// The entries that a `$setElementOrder` directive lists.
pub(super) fn parse(order: &Value, name: &str, key: Option<&str>) -> Result<Vec<Value>, Error> {
    let Value::Array(order) = order else {
        return Err(Error::Malformed(format!("the order of {name} is a list")));
    };
    if let Some(key) = key
        && order.iter().any(|item| item.get(key).is_none())
    {
        return Err(Error::Malformed(format!("the order of {name} lists objects with {key}")));
    }
    Ok(order.clone())
}

/// Refuses patches whose entries are not all in the order, or in another sequence.
pub(super) fn check<'a>(
    patch: impl Iterator<Item = &'a Value>,
    order: &[Value],
    name: &str,
    key: Option<&str>,
) -> Result<(), Error> {
    let mut rest = order.iter();
    for item in patch {
        if !rest.any(|listed| same(listed, item, key)) {
            return Err(Error::Malformed(format!("the order of {name} does not match the entries of the patch")));
        }
    }
    Ok(())
}

/// Orders `items`: those in `order` as there, the others as in `original`. Where the two kinds meet, one that precedes
/// the other in `original` stays before it, and new ones come first.
pub(super) fn arrange(items: &mut Vec<Value>, order: &[Value], original: &[Value], key: Option<&str>) {
    let place = |item: &Value, within: &[Value]| within.iter().position(|other| same(other, item, key));
    let (mut named, mut rest): (Vec<_>, Vec<_>) =
        std::mem::take(items).into_iter().partition(|item| place(item, order).is_some());
    named.sort_by_key(|item| place(item, order));
    rest.sort_by_key(|item| place(item, original));
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    while let (Some(left), Some(right)) = (rest.peek(), named.peek()) {
        let keeps_place = matches!((place(left, original), place(right, original)), (Some(l), Some(r)) if l < r);
        items.extend(if keeps_place { rest.next() } else { named.next() });
    }
    items.extend(rest.chain(named));
}

fn same(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    }
}
