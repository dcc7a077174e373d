//! A set of field paths and its algebra.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use super::Element;

/// Deeper sets are refused.
const MAX_DEPTH: usize = 128;

/// A set of paths. A path may be in it with or without paths below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    children: BTreeMap<Element, Child>,
}

/// What the set has at and below an element. Never empty: it is a member or has something below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Child {
    /// The path up to here is itself in the set.
    member: bool,
    below: Set,
}

impl Set {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Puts a path in.
    pub fn insert(&mut self, path: &[Element]) {
        let [first, rest @ ..] = path else { return };
        let child = self.children.entry(first.clone()).or_default();
        if rest.is_empty() {
            child.member = true;
        } else {
            child.below.insert(rest);
        }
    }

    /// Takes out a path, and with it nothing below.
    pub fn remove(&mut self, path: &[Element]) {
        let [first, rest @ ..] = path else { return };
        let Entry::Occupied(mut child) = self.children.entry(first.clone()) else { return };
        if rest.is_empty() {
            child.get_mut().member = false;
        } else {
            child.get_mut().below.remove(rest);
        }
        if child.get().is_empty() {
            child.remove();
        }
    }

    #[must_use]
    pub fn contains(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.children.get(last).is_some_and(|child| child.member),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.below.contains(rest)),
        }
    }

    /// Everything in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (element, theirs) in &other.children {
            let ours = all.children.entry(element.clone()).or_default();
            ours.member |= theirs.member;
            ours.below = ours.below.union(&theirs.below);
        }
        all
    }

    /// Everything in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.filtered(|element, ours| {
            let theirs = other.children.get(element)?;
            Some(Child { member: ours.member && theirs.member, below: ours.below.intersection(&theirs.below) })
        })
    }

    /// Everything that is not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.filtered(|element, ours| match other.children.get(element) {
            Some(theirs) => {
                Some(Child { member: ours.member && !theirs.member, below: ours.below.difference(&theirs.below) })
            }
            None => Some(ours.clone()),
        })
    }

    /// Everything that is neither in `other` nor below something that is.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.filtered(|element, ours| match other.children.get(element) {
            Some(theirs) if theirs.member => None,
            Some(theirs) => Some(Child { member: ours.member, below: ours.below.recursive_difference(&theirs.below) }),
            None => Some(ours.clone()),
        })
    }

    /// The paths that have nothing below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        self.filtered(|_, ours| {
            Some(Child { member: ours.member && ours.below.is_empty(), below: ours.below.leaves() })
        })
    }

    /// What the set has below an element.
    #[must_use]
    pub fn below(&self, element: &Element) -> Option<&Self> {
        self.children.get(element).map(|child| &child.below)
    }

    /// Every path, parents first, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    /// `FieldsV1`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let children = self.children.iter().map(|(element, child)| {
            let Value::Object(mut below) = child.below.to_json() else { return (element.to_string(), Value::Null) };
            if child.member && !below.is_empty() {
                below.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            (element.to_string(), Value::Object(below))
        });
        Value::Object(children.collect())
    }

    /// Reads `FieldsV1`; `None` when it is something else.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        Self::parse(json, 0).map(|(_, set)| set)
    }

    /// The set below a path, and whether the path itself (`.`, or nothing at all below) is a member.
    fn parse(json: &Value, depth: usize) -> Option<(bool, Self)> {
        let Value::Object(fields) = json else { return None };
        if depth > MAX_DEPTH {
            return None;
        }
        let mut set = Self::default();
        for (name, json) in fields.iter().filter(|(name, _)| *name != ".") {
            let (member, below) = Self::parse(json, depth + 1)?;
            set.children.insert(Element::parse(name)?, Child { member, below });
        }
        Some((fields.contains_key(".") || fields.is_empty(), set))
    }

    fn filtered(&self, filter: impl Fn(&Element, &Child) -> Option<Child>) -> Self {
        let children = self.children.iter().filter_map(|(element, child)| {
            let child = filter(element, child).filter(|child| !child.is_empty())?;
            Some((element.clone(), child))
        });
        Self { children: children.collect() }
    }

    fn collect(&self, path: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        for (element, child) in &self.children {
            path.push(element.clone());
            if child.member {
                paths.push(path.clone());
            }
            child.below.collect(path, paths);
            path.pop();
        }
    }
}

impl Child {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sets() -> impl Strategy<Value = Set> {
        let element = prop_oneof![
            "[ab]".prop_map(|name| Element::Field(name.into())),
            (0..2_i64).prop_map(|n| Element::Value(super::super::Scalar::Integer(n))),
        ];
        proptest::collection::vec(proptest::collection::vec(element, 1..4), 0..8).prop_map(|paths| {
            let mut set = Set::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn the_algebra_is_that_of_sets(a in sets(), b in sets()) {
            let (union, both, only) = (a.union(&b), a.intersection(&b), a.difference(&b));
            for path in union.paths() {
                let (in_a, in_b) = (a.contains(&path), b.contains(&path));
                prop_assert!(in_a || in_b);
                prop_assert_eq!(both.contains(&path), in_a && in_b);
                prop_assert_eq!(only.contains(&path), in_a && !in_b);
            }
            prop_assert_eq!(&only.union(&both), &a);
            prop_assert!(a.difference(&a).is_empty());
            prop_assert_eq!(a.paths().len() + b.paths().len(), union.paths().len() + both.paths().len());
        }

        #[test]
        fn json_round_trips(set in sets()) {
            prop_assert_eq!(Set::from_json(&set.to_json()), Some(set));
        }

        #[test]
        fn removing_undoes_inserting(set in sets()) {
            let mut rest = set.clone();
            set.paths().iter().for_each(|path| rest.remove(path));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn leaves_have_nothing_below(set in sets()) {
            let leaves = set.leaves().paths();
            for path in &leaves {
                prop_assert!(!leaves.iter().any(|other| other.len() > path.len() && other.starts_with(path)));
            }
        }
    }
}
