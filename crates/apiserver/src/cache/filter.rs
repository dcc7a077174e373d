//! Which objects of a resource a reader wants.

use object::{FieldSelector, LabelSelector};

use super::entry::Entry;
use super::resource::Definition;

/// A namespace, a name, and selectors; the default selects everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub namespace: Option<Box<str>>,
    pub name: Option<Box<str>>,
    pub labels: LabelSelector,
    pub fields: Vec<FieldTerm>,
}

/// A term of a field selector, resolved to what the cache holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTerm {
    pub field: Field,
    pub value: Box<str>,
    pub negated: bool,
}

/// Where the value of a selectable field is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Name,
    Namespace,
    /// The resource's selectable field with this number.
    Listed(usize),
}

/// A field of a resource that selectors may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectable {
    /// As the selector writes it: `spec.nodeName`.
    pub label: Box<str>,
    /// Where its value stands in the storage version, one of the cache's scanned paths.
    pub path: Box<[Box<str>]>,
    /// What an absent field equals: empty for texts, `false`, `0`; with a dot in front, the path of another selectable
    /// field that stands for it.
    pub default: Box<str>,
}

impl Selectable {
    /// The value where the field is absent, among the values of all fields.
    pub(super) fn absent<'a>(&'a self, all: &[Self], values: &'a [Option<std::borrow::Cow<'_, str>>]) -> &'a str {
        let Some(path) = self.default.strip_prefix('.') else { return &self.default };
        let other = all.iter().position(|field| field.path.iter().map(|part| &**part).eq(path.split('.')));
        other.and_then(|other| values.get(other)?.as_deref()).unwrap_or_default()
    }
}

/// A field label that the resource does not support; carries the label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field label not supported: {0}")]
pub struct UnsupportedField(pub String);

impl Filter {
    /// Resolves selectors by `resolve`, which says where a field is found. A demanded `metadata.name` or `metadata.namespace` narrows the
    /// filter itself.
    ///
    /// # Errors
    /// When a term names a field that cannot be selected by.
    pub fn new(
        namespace: Option<&str>,
        labels: LabelSelector,
        fields: &FieldSelector,
        resolve: impl Fn(&str) -> Option<Field>,
    ) -> Result<Self, UnsupportedField> {
        let mut filter = Self { namespace: namespace.map(Into::into), labels, ..Self::default() };
        for term in &fields.0 {
            let field = resolve(&term.field).ok_or_else(|| UnsupportedField(term.field.clone()))?;
            if field == Field::Name && !term.negated && filter.name.is_none() {
                filter.name = Some(term.value.as_str().into());
                continue;
            }
            // Absent and default are one: `spec.unschedulable=false` selects nodes that do not say.
            filter.fields.push(FieldTerm { field, value: term.value.as_str().into(), negated: term.negated });
        }
        Ok(filter)
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.namespace.is_none() && self.name.is_none() && !self.selects()
    }

    /// Whether labels or fields are looked at, beyond namespace and name.
    #[must_use]
    pub fn selects(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| entry.namespace() == namespace)
            && self.name.as_deref().is_none_or(|name| entry.name() == name)
            && (self.labels.is_empty() || self.labels.matches(entry.labels()))
            && self.fields.iter().all(|term| term.matches(entry))
    }

    /// The value that listed field `index` must have, if a term demands one.
    #[must_use]
    pub(super) fn exact(&self, index: usize) -> Option<&str> {
        let demanded = |term: &&FieldTerm| term.field == Field::Listed(index) && !term.negated;
        self.fields.iter().find(demanded).map(|term| &*term.value)
    }
}

impl FieldTerm {
    fn matches(&self, entry: &Entry) -> bool {
        let value = match self.field {
            Field::Name => entry.name(),
            Field::Namespace => entry.namespace(),
            Field::Listed(index) => entry.field(index).unwrap_or_default(),
        };
        (value == &*self.value) != self.negated
    }
}

impl Definition {
    /// Where a field is found that a selector names; `None` when it cannot be selected by.
    #[must_use]
    pub fn field(&self, label: &str) -> Option<Field> {
        match label {
            "metadata.name" => Some(Field::Name),
            "metadata.namespace" => Some(Field::Namespace),
            _ => self.selectable.iter().position(|field| &*field.label == label).map(Field::Listed),
        }
    }

    /// Where a field with this path is found, whatever its label.
    #[must_use]
    pub fn field_at(&self, path: &str) -> Option<Field> {
        let is_it = |field: &Selectable| field.path.iter().map(|part| &**part).eq(path.split('.'));
        self.selectable.iter().position(is_it).map(Field::Listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &str, fields: &str, expected: bool) {
        let stored = br#"{"metadata":{"name":"a","uid":"u","labels":{"app":"x"}},"spec":{"nodeName":"n"}}"#;
        let node = Selectable {
            label: "spec.nodeName".into(),
            path: ["spec".into(), "nodeName".into()].into(),
            default: "".into(),
        };
        let definition = Definition { prefix: "/registry/pods/".into(), selectable: vec![node], trigger: None };
        let entry = Entry::new("ns/a", 1, stored, &definition.selectable).expect("json");
        let labels = LabelSelector::parse(labels).expect("labels");
        let fields = FieldSelector::parse(fields).expect("fields");
        let filter = Filter::new(Some("ns"), labels, &fields, |label| definition.field(label)).expect("supported");
        assert_eq!(filter.matches(&entry), expected, "{filter:?}");
    }

    #[test]
    fn terms_combine() {
        check("", "", true);
        check("app=x", "", true);
        check("app!=x", "", false);
        check("", "metadata.name=a", true);
        check("", "metadata.name=b", false);
        check("", "metadata.name!=b,metadata.namespace=ns", true);
        check("app in (x)", "spec.nodeName=n", true);
        check("app", "spec.nodeName!=n", false);
        check("", "metadata.name=a,metadata.name=b", false);
    }

    #[test]
    fn other_fields_are_refused() {
        let fields = FieldSelector::parse("spec.foo=1").expect("fields");
        let refused = Filter::new(None, LabelSelector::default(), &fields, |_| None);
        assert_eq!(refused.expect_err("unsupported").to_string(), "field label not supported: spec.foo");
    }
}
