//! What a cache must know of an object, how it names it, and what part of a type it holds.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

/// An object a cache can hold. Every `kube::Resource` is one; a compact view of a type implements it by hand.
pub trait Object: DeserializeOwned + Send + Sync + 'static {
    /// `None` for cluster-scoped objects.
    fn namespace(&self) -> Option<&str>;
    fn name(&self) -> &str;
    /// Empty when unset, which only happens in tests.
    fn uid(&self) -> &str;
    /// The resourceVersion as a number; 0 when it is absent or not a number.
    fn revision(&self) -> u64;

    fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }
}

impl<K: kube::Resource + DeserializeOwned + Send + Sync + 'static> Object for K {
    fn namespace(&self) -> Option<&str> {
        self.meta().namespace.as_deref()
    }

    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        parse_revision(self.meta().resource_version.as_deref())
    }
}

/// A resourceVersion as a number: versions of all types of a cluster are comparable integers. 0 when absent or malformed.
#[must_use]
pub fn parse_revision(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// The name of an object within its type; ordered by namespace, then name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl Key {
    #[must_use]
    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        Self { namespace: namespace.unwrap_or_default().into(), name: name.into() }
    }

    /// `None` for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(&*self.namespace)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace() {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Which objects of a type a cache holds; the default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<Cow<'static, str>>,
    /// A label selector, as in `app=web,tier!=db`.
    pub labels: Option<Cow<'static, str>>,
    /// A field selector, as in `spec.nodeName=node-1`.
    pub fields: Option<Cow<'static, str>>,
}

impl Scope {
    #[must_use]
    pub fn namespace(namespace: impl Into<Cow<'static, str>>) -> Self {
        Self { namespace: Some(namespace.into()), ..Self::default() }
    }

    #[must_use]
    pub fn labels(mut self, selector: impl Into<Cow<'static, str>>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    #[must_use]
    pub fn fields(mut self, selector: impl Into<Cow<'static, str>>) -> Self {
        self.fields = Some(selector.into());
        self
    }
}
