//! Which fields differ between two versions of an object.

use schema::facts::Presence;
use schema::{ListType, Node};
use serde_json::Value;

use super::{Element, Set};

/// Deeper values are compared as wholes.
const MAX_DEPTH: usize = 128;

/// What an update did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    pub added: Set,
    pub modified: Set,
    pub removed: Set,
}

impl Comparison {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// What became of `old` in `new`. Fields that an object always has are not added with it: only what is in them is.
#[must_use]
pub fn compare(old: &Value, new: &Value, node: Node<'_>) -> Comparison {
    let mut walk = Walk { path: Vec::new(), found: Comparison::default() };
    walk.both(old, new, Some(node));
    walk.found
}

/// Every field that an object has: what its applier owns.
#[must_use]
pub fn owned(object: &Value, node: Node<'_>) -> Set {
    let mut walk = Walk { path: Vec::new(), found: Comparison::default() };
    if let Value::Object(fields) = object {
        for (name, value) in fields {
            walk.at(Element::Field(name.as_str().into()), |walk| walk.one(value, node.field(name), Side::New));
        }
    }
    walk.found.added
}

#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

/// How a value is taken apart.
enum Parts<'a> {
    /// It is owned as one.
    Whole,
    /// In the order of the value.
    Named(Vec<(Element, &'a Value)>),
}

struct Walk {
    path: Vec<Element>,
    found: Comparison,
}

impl Walk {
    fn at(&mut self, element: Element, then: impl FnOnce(&mut Self)) {
        self.path.push(element);
        then(self);
        self.path.pop();
    }

    /// A value that only one side has.
    fn one(&mut self, value: &Value, node: Option<Node<'_>>, side: Side) {
        match side {
            Side::Old => self.found.removed.insert(&self.path),
            Side::New => self.found.added.insert(&self.path),
        }
        if let Parts::Named(parts) = parts(value, node, self.path.len()) {
            for (element, part) in parts {
                let node = below(node, &element);
                self.at(element, |walk| walk.one(part, node, side));
            }
        }
    }

    /// A value that both sides have; one of them may be implied (null).
    fn both(&mut self, old: &Value, new: &Value, node: Option<Node<'_>>) {
        if old == new {
            return;
        }
        let (Parts::Named(old_parts), Parts::Named(new_parts)) =
            (parts(old, node, self.path.len()), parts(new, node, self.path.len()))
        else {
            self.found.modified.insert(&self.path);
            return;
        };
        for (element, part) in &old_parts {
            if !new_parts.iter().any(|(other, _)| other == element) {
                let node = below(node, element);
                if is_implied(node) {
                    self.at(element.clone(), |walk| walk.both(part, &Value::Null, node));
                } else {
                    self.at(element.clone(), |walk| walk.one(part, node, Side::Old));
                }
            }
        }
        for (element, part) in new_parts {
            let node = below(node, &element);
            match old_parts.iter().find(|(other, _)| *other == element) {
                Some((_, before)) => self.at(element, |walk| walk.both(before, part, node)),
                None if is_implied(node) => self.at(element, |walk| walk.both(&Value::Null, part, node)),
                None => self.at(element, |walk| walk.one(part, node, Side::New)),
            }
        }
    }
}

/// Whether the field that led here is part of every object of its type.
fn is_implied(node: Option<Node<'_>>) -> bool {
    let field = node.and_then(|node| node.facts());
    field.is_some_and(|f| matches!(f.presence, Presence::Always | Presence::AlwaysNull | Presence::OmitZero))
}

/// The shape of a part.
fn below<'a>(node: Option<Node<'a>>, element: &Element) -> Option<Node<'a>> {
    match element {
        Element::Field(name) => node?.field(name),
        _ => node?.item(),
    }
}

fn parts<'a>(value: &'a Value, node: Option<Node<'_>>, depth: usize) -> Parts<'a> {
    // The root is an object even where its facts say nothing.
    let atomic = node.is_some_and(|node| depth > 0 && node.is_atomic()) || depth > MAX_DEPTH;
    match value {
        _ if atomic => Parts::Whole,
        Value::Null if node.is_some_and(|node| node.is_object() || node.is_map() || node.is_list()) => {
            Parts::Named(Vec::new())
        }
        Value::Object(fields) => {
            Parts::Named(fields.iter().map(|(name, value)| (Element::Field(name.as_str().into()), value)).collect())
        }
        Value::Array(items) => entries(items, node).map_or(Parts::Whole, Parts::Named),
        _ => Parts::Whole,
    }
}

/// The entries of a set or associative list by what tells them apart; `None` when nothing does.
fn entries<'a>(items: &'a [Value], node: Option<Node<'_>>) -> Option<Vec<(Element, &'a Value)>> {
    let node = node?;
    let element = |item: &Value| match node.list_type() {
        ListType::Atomic => None,
        ListType::Set => Some(Element::Value(super::Scalar::of(item))),
        ListType::Map => {
            // Keys that are left out have been defaulted or do not tell entries apart.
            let keys = node.list_keys().iter().filter_map(|key| Some((&**key, item.get(&**key)?)));
            Some(Element::key(keys))
        }
    };
    let entries = items.iter().map(|item| Some((element(item)?, item))).collect::<Option<Vec<_>>>()?;
    let mut elements: Vec<_> = entries.iter().map(|(element, _)| element).collect();
    elements.sort_unstable();
    let unique = elements.windows(2).all(|pair| pair[0] != pair[1]);
    unique.then_some(entries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node_of(kind: &str) -> schema::Type {
        schema::Type::builtin(kind).expect("a built-in type")
    }

    #[test]
    fn a_new_deployment() {
        let ty = node_of("apps.v1.Deployment");
        let new = json!({
            "metadata": {"labels": {"app": "x"}},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "x"}},
                "template": {"spec": {"containers": [
                    {"name": "c", "image": "i", "resources": {}, "args": ["1"],
                     "ports": [{"containerPort": 80, "protocol": "TCP"}]},
                ]}},
            },
        });
        let expected = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:template": {"f:spec": {"f:containers": {r#"k:{"name":"c"}"#: {
                    ".": {}, "f:args": {}, "f:image": {}, "f:name": {},
                    "f:ports": {".": {}, r#"k:{"containerPort":80,"protocol":"TCP"}"#: {
                        ".": {}, "f:containerPort": {}, "f:protocol": {},
                    }},
                    "f:resources": {},
                }}}},
            },
        });
        let found = compare(&json!({}), &new, ty.node());
        assert_eq!(found.added.union(&found.modified).to_json(), expected);
        assert!(found.removed.is_empty());
    }

    #[test]
    fn changes() {
        let ty = node_of("core.v1.Pod");
        let pod = |image: &str, finalizers: &[&str]| json!({"metadata": {"finalizers": finalizers}, "spec": {"containers": [{"name": "c", "image": image}]}});
        let found = compare(&pod("1", &["a/a", "b/b"]), &pod("2", &["b/b", "c/c"]), ty.node());
        let image = json!({"f:spec": {"f:containers": {r#"k:{"name":"c"}"#: {"f:image": {}}}}});
        assert_eq!(found.modified.to_json(), image);
        assert_eq!(found.added.to_json(), json!({"f:metadata": {"f:finalizers": {r#"v:"c/c""#: {}}}}));
        assert_eq!(found.removed.to_json(), json!({"f:metadata": {"f:finalizers": {r#"v:"a/a""#: {}}}}));
        assert!(compare(&pod("1", &[]), &pod("1", &[]), ty.node()).is_empty());
    }

    #[test]
    fn duplicates_make_a_list_one_whole() {
        let ty = node_of("core.v1.Pod");
        let pod = |image: &str| json!({"spec": {"containers": [{"name": "c", "image": image}, {"name": "c", "image": image}]}});
        let found = compare(&pod("1"), &pod("2"), ty.node());
        assert_eq!(found.modified.to_json(), json!({"f:spec": {"f:containers": {}}}));
    }
}
