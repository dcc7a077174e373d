//! A cursor over the shape of a value: what patches and server-side apply walk beside the value itself.

use super::{Facts, Field, ListType, Shape, TypeFacts, TypeId};

/// A place in the shape of an object. Copied freely; stepping down allocates nothing.
///
/// Patch and list facts belong to the place that a field leads to: `node.field("containers")` knows its merge key, and
/// `.item()` is one container.
///
/// ```
/// let deployment = schema::Type::builtin("apps.v1.Deployment").unwrap();
/// let containers = deployment.node().field("spec").unwrap().field("template").unwrap()
///     .field("spec").unwrap().field("containers").unwrap();
/// assert_eq!(containers.merge_key(), Some("name"));
/// assert!(containers.item().unwrap().field("image").is_some());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    facts: &'a Facts,
    shape: Place<'a>,
    /// The field that led here; lost below list items and map values.
    field: Option<&'a Field>,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Type(TypeId),
    Shape(&'a Shape),
}

impl<'a> Node<'a> {
    #[must_use]
    pub fn root(facts: &'a Facts, id: TypeId) -> Self {
        Self { facts, shape: Place::Type(id), field: None }
    }

    /// The facts of the type here, when the value is an object with known fields.
    #[must_use]
    pub fn ty(&self) -> Option<&'a TypeFacts> {
        match self.shape {
            Place::Type(id) => Some(self.facts.get(id)),
            Place::Shape(Shape::Object(id) | Shape::ObjectOr(id, _)) => Some(self.facts.get(*id)),
            Place::Shape(_) => None,
        }
    }

    /// The shape here; `None` at the root, which is an object.
    #[must_use]
    pub fn shape(&self) -> Option<&'a Shape> {
        match self.shape {
            Place::Type(_) => None,
            Place::Shape(shape) => Some(shape),
        }
    }

    /// The facts of the field that led here.
    #[must_use]
    pub fn facts(&self) -> Option<&'a Field> {
        self.field
    }

    /// Steps into a field of an object, or into a value of a map.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Self> {
        match self.ty() {
            Some(ty) => {
                let field = ty.field(name)?;
                Some(Self { facts: self.facts, shape: Place::Shape(&field.shape), field: Some(field) })
            }
            None => self.value(),
        }
    }

    /// Steps into the entries of a list.
    #[must_use]
    pub fn item(&self) -> Option<Self> {
        match self.shape() {
            Some(Shape::List(item)) => Some(Self { facts: self.facts, shape: Place::Shape(item), field: None }),
            _ => None,
        }
    }

    /// Steps into the values of a map.
    #[must_use]
    pub fn value(&self) -> Option<Self> {
        match self.shape() {
            Some(Shape::Map(value)) => Some(Self { facts: self.facts, shape: Place::Shape(value), field: None }),
            _ => None,
        }
    }

    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.shape(), Some(Shape::List(_)))
    }

    /// An object with known fields.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.ty().is_some()
    }

    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.shape(), Some(Shape::Map(_)))
    }

    /// True when server-side apply owns the value here as one: scalars, atomic lists, maps and objects, any JSON.
    #[must_use]
    pub fn is_atomic(&self) -> bool {
        if self.field.is_some_and(|f| f.atomic) {
            return true;
        }
        match self.shape() {
            _ if self.ty().is_some_and(|t| t.atomic) => true,
            Some(Shape::List(_)) => self.list_type() == ListType::Atomic,
            Some(Shape::Map(_)) => false,
            _ => self.ty().is_none() || matches!(self.shape(), Some(Shape::ObjectOr(..))),
        }
    }

    #[must_use]
    pub fn list_type(&self) -> ListType {
        self.field.map(|f| f.list).unwrap_or_default()
    }

    /// The keys of an associative list, in order.
    #[must_use]
    pub fn list_keys(&self) -> &'a [Box<str>] {
        self.field.map_or(&[], |f| &f.keys)
    }

    /// Strategic merge: this list is merged by the key, or as a set when there is none.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        self.field.is_some_and(|f| f.patch.merge)
    }

    #[must_use]
    pub fn retains_keys(&self) -> bool {
        self.field.is_some_and(|f| f.patch.retain_keys)
    }

    #[must_use]
    pub fn merge_key(&self) -> Option<&'a str> {
        self.field.and_then(|f| f.patch.merge_key.as_deref())
    }
}
