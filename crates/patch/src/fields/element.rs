//! One step of a field path.

use std::fmt;

use serde_json::Value;

/// A step from a value into one of its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// `f:name`: a field of an object or map.
    Field(Box<str>),
    /// `k:{"name":"x"}`: the entry of an associative list with these keys, sorted by name.
    Key(Vec<(Box<str>, Scalar)>),
    /// `v:"x"`: the entry of a set.
    Value(Scalar),
    /// `i:3`: the entry of a list at a position.
    Index(u64),
}

/// A value that can tell list entries apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// Any other JSON, in its shortest text: fractions, and whatever a malformed set may hold.
    Other(Box<str>),
    String(Box<str>),
}

impl Element {
    /// Parses `f:…`, `k:…`, `v:…` or `i:…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.into())),
            "v" => Some(Self::Value(Scalar::of(&serde_json::from_str(rest).ok()?))),
            "i" => rest.parse().ok().map(Self::Index),
            "k" => {
                let Value::Object(keys) = serde_json::from_str(rest).ok()? else { return None };
                Some(Self::key(keys.iter().map(|(name, value)| (name.as_str(), value))))
            }
            _ => None,
        }
    }

    /// The element for an associative list's entry with these keys.
    pub fn key<'a>(keys: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut keys: Vec<_> = keys.map(|(name, value)| (name.into(), Scalar::of(value))).collect();
        keys.sort_unstable();
        Self::Key(keys)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "f:{name}"),
            Self::Value(value) => write!(f, "v:{}", value.json()),
            Self::Index(index) => write!(f, "i:{index}"),
            Self::Key(keys) => {
                f.write_str("k:{")?;
                for (at, (name, value)) in keys.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", Value::from(&**name), value.json())?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Scalar {
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::String(text.as_str().into()),
            other => other.as_i64().map_or_else(|| Self::Other(other.to_string().into()), Self::Integer),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Other(text) => text.to_string(),
            Self::String(text) => Value::from(&**text).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_round_trip() {
        for text in ["f:a:b", "v:\"x\"", "v:1", "v:true", "v:1.5", "i:7", r#"k:{"containerPort":80,"protocol":"TCP"}"#]
        {
            assert_eq!(Element::parse(text).map(|e| e.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Element::parse(r#"k:{"b":1, "a":2}"#).map(|e| e.to_string()).as_deref(), Some(r#"k:{"a":2,"b":1}"#));
        for text in ["", "x:1", "f", "v:", "k:[]", "i:-1"] {
            assert_eq!(Element::parse(text), None, "{text}");
        }
    }
}
