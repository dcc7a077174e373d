//! Field facts: what the fields of every type are, in canonical order.
//!
//! The built-in facts are the text in `facts/kubernetes.facts` (made by `cargo run -p xtask -- facts`), and in
//! `facts/beside.facts` what OpenAPI leaves out, read once on first use. Custom resources bring small [`Facts`] of their
//! own; everything that walks facts works on both.

mod node;
mod parse;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

pub use node::Node;
pub use parse::ParseError;

use crate::codec::Layout;
use crate::overlay;

/// The types of one universe. Types refer to each other by index.
#[derive(Debug, Default)]
pub struct Facts {
    types: Vec<TypeFacts>,
    by_name: HashMap<Box<str>, TypeId>,
}

/// Index of a type in its [`Facts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// One object type.
#[derive(Debug)]
pub struct TypeFacts {
    /// Short name: `apps.v1.DeploymentSpec`, `meta.v1.ObjectMeta`.
    pub name: Box<str>,
    /// Group, version and kind, for types that are objects of the API.
    pub gvk: Option<object::Gvk>,
    /// In canonical order: the order in which the server prints them.
    pub fields: Vec<Field>,
    /// The whole value is one for server-side apply.
    pub atomic: bool,
    /// Fields that the facts do not name are kept: `x-kubernetes-preserve-unknown-fields` of custom resources.
    pub open: bool,
    pub defaults: overlay::Defaults,
    /// How protobuf lays it out; made on first use.
    pub(crate) layout: OnceLock<Layout>,
}

/// One field of a type.
#[derive(Debug)]
pub struct Field {
    pub name: Box<str>,
    pub number: Number,
    /// A list that protobuf makes a message of its own, with the entries in its first field.
    pub wrapped: bool,
    pub shape: Shape,
    pub presence: Presence,
    /// OpenAPI says that it must be there.
    pub required: bool,
    pub list: ListType,
    /// A map or object that server-side apply replaces as a whole.
    pub atomic: bool,
    /// The fields that tell entries apart when `list` is [`ListType::Map`].
    pub keys: Box<[Box<str>]>,
    pub patch: Patch,
}

/// Where protobuf has the field; none for custom resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Number {
    /// The message fields of the structs that Go inlines around it, outermost first; 0 where there is none.
    pub outer: [u16; 2],
    pub own: u16,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    String,
    /// Base64 in JSON.
    Bytes,
    Bool,
    Int32,
    Int64,
    Float,
    Quantity,
    IntOrString,
    /// RFC 3339 with whole seconds.
    Time,
    /// RFC 3339 with six decimals.
    MicroTime,
    /// Any JSON, kept as it is.
    Any,
    Object(TypeId),
    /// An object of the type, or any other JSON: `JSONSchemaPropsOrBool` and its like.
    ObjectOr(TypeId, Or),
    List(Box<Self>),
    Map(Box<Self>),
}

/// What stands in place of an object, which protobuf must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Or {
    Bool,
    /// A list of such objects.
    List,
    /// A list of texts.
    Texts,
}

/// What is printed when there is nothing to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Left out when empty (zero, `""`, `false`, `[]`, `{}`, null); objects are left out only when absent or null.
    OmitEmpty,
    /// Left out only when absent or null: a pointer, whose zero has a meaning.
    OmitNull,
    /// Always printed; absent is the zero value (`""`, 0, `{}` with its own always-printed fields, null for lists,
    /// maps and times).
    Always,
    /// Always printed; absent is null, whatever the shape.
    AlwaysNull,
    /// An object that is left out when all its fields are.
    OmitZero,
}

/// How server-side apply merges a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListType {
    /// Replaced as a whole; also what no list type means.
    #[default]
    Atomic,
    Set,
    Map,
}

/// How a strategic merge patch treats the field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch {
    /// Lists are merged, not replaced: by `merge_key`, or as sets of primitives.
    pub merge: bool,
    /// Fields that the patch does not name are cleared when `$retainKeys` says so.
    pub retain_keys: bool,
    pub merge_key: Option<Box<str>>,
}

/// A type with the universe that it lives in: what rows and codecs hold.
#[derive(Clone)]
pub struct Type {
    facts: Arc<Facts>,
    id: TypeId,
}

impl Facts {
    /// The facts of the built-in types; read on first use, then shared.
    ///
    /// # Panics
    /// Never: the text is part of the binary and a test reads it.
    #[must_use]
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Facts>> = OnceLock::new();
        BUILTIN
            .get_or_init(|| {
                let text = concat!(include_str!("facts/kubernetes.facts"), include_str!("facts/beside.facts"));
                let mut facts = Self::parse(text).expect("committed facts parse");
                overlay::attach(&mut facts);
                Arc::new(facts)
            })
            .clone()
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// When a line has another form or names an unknown type.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// Builds facts from types whose shapes refer to each other by position.
    ///
    /// # Panics
    /// When there are more than `u32::MAX` types.
    #[must_use]
    pub fn from_types(types: Vec<TypeFacts>) -> Self {
        let id = |i| TypeId(u32::try_from(i).expect("fewer than 2^32 types"));
        let by_name = types.iter().enumerate().map(|(i, t)| (t.name.clone(), id(i))).collect();
        Self { types, by_name }
    }

    #[must_use]
    pub fn get(&self, id: TypeId) -> &TypeFacts {
        &self.types[id.0 as usize]
    }

    /// How protobuf lays a type out.
    pub(crate) fn layout(&self, id: TypeId) -> &Layout {
        let ty = self.get(id);
        ty.layout.get_or_init(|| Layout::of(self, ty))
    }

    /// Looks a type up by its short name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &TypeFacts)> {
        (0..).map(TypeId).zip(&self.types)
    }

    /// Notes which types have defaults in or below them.
    pub(crate) fn mark_reachable(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for i in 0..self.types.len() {
                let ty = &self.types[i];
                let below = |f: &Field| f.shape.object().is_some_and(|id| self.get(id).defaults.reachable);
                let own = !ty.defaults.constants.is_empty() || ty.defaults.rule.is_some();
                if !ty.defaults.reachable && (own || ty.fields.iter().any(below)) {
                    self.types[i].defaults.reachable = true;
                    changed = true;
                }
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: TypeId) -> &mut TypeFacts {
        &mut self.types[id.0 as usize]
    }
}

impl TypeId {
    /// The id of the type at a position, for [`Facts::from_types`].
    #[must_use]
    pub const fn at(position: u32) -> Self {
        Self(position)
    }
}

impl Shape {
    /// The object type here, or that of the entries of a list or map.
    #[must_use]
    pub fn object(&self) -> Option<TypeId> {
        match self {
            Self::Object(id) => Some(*id),
            Self::List(inner) | Self::Map(inner) => inner.object(),
            _ => None,
        }
    }
}

impl TypeFacts {
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| &*f.name == name)
    }

    /// The position of a field, looked for from `hint` on: fields mostly come in canonical order.
    #[must_use]
    pub(crate) fn position(&self, name: &str, hint: usize) -> Option<usize> {
        let (before, after) = self.fields.split_at(hint.min(self.fields.len()));
        let is_it = |field: &Field| &*field.name == name;
        after.iter().position(is_it).map(|at| before.len() + at).or_else(|| before.iter().position(is_it))
    }

    /// The Go name of the type, as messages have it: `DeploymentSpec`.
    #[must_use]
    pub fn go_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

impl Type {
    /// # Panics
    /// When the id is of other facts.
    #[must_use]
    pub fn new(facts: Arc<Facts>, id: TypeId) -> Self {
        assert!((id.0 as usize) < facts.types.len(), "the type id belongs to these facts");
        Self { facts, id }
    }

    /// A built-in type by its short name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let facts = Facts::builtin();
        let id = facts.find(name)?;
        Some(Self { facts, id })
    }

    /// The built-in type of a kind, whether or not a row of its own serves it: bodies of subresources, statuses.
    #[must_use]
    pub fn of_kind(kind: &object::Gvk) -> Option<Self> {
        let module = kind.group.split('.').next().filter(|m| !m.is_empty()).unwrap_or("core");
        let found = |module: &str| Self::builtin(&format!("{module}.{}.{}", kind.version, kind.kind));
        found(module).or_else(|| found("meta").filter(|_| kind.group.is_empty()))
    }

    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    #[must_use]
    pub fn id(&self) -> TypeId {
        self.id
    }

    #[must_use]
    pub fn get(&self) -> &TypeFacts {
        self.facts.get(self.id)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.get().name
    }

    /// A cursor at the root of an object of this type.
    #[must_use]
    pub fn node(&self) -> Node<'_> {
        Node::root(&self.facts, self.id)
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Type({})", self.name())
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for Type {}
