//! A path from the root of an object to a field.

use std::fmt::{self, Write as _};

/// A rendered path. Extending it copies the text (a few dozen bytes), which keeps validation code free of lifetimes.
///
/// ```
/// use object::field::Path;
/// let container = Path::new("spec").child("containers").index(0);
/// assert_eq!(container.child("name").to_string(), "spec.containers[0].name");
/// assert_eq!(Path::root().child("type").to_string(), "type");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path(String);

impl Path {
    /// The empty path: the object itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// What upstream shows for the object itself, where it does not leave out the path: `[]`.
    #[must_use]
    pub fn unnamed() -> Self {
        Self("[]".to_owned())
    }

    /// A path that starts at the field `name`, which may itself be dotted.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            return Self::new(name);
        }
        let mut text = String::with_capacity(self.0.len() + 1 + name.len());
        text.push_str(&self.0);
        text.push('.');
        text.push_str(name);
        Self(text)
    }

    /// An entry of a list: rendered `[index]`.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut text = String::with_capacity(self.0.len() + 4);
        // writing to a String cannot fail
        let _ = write!(text, "{}[{index}]", self.0);
        Self(text)
    }

    /// A map key, or the key of a list entry: rendered `[key]`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + 2 + key.len());
        text.push_str(&self.0);
        text.push('[');
        text.push_str(key);
        text.push(']');
        Self(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
