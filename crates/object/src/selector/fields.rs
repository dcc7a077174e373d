//! Field selectors: `metadata.name=a,spec.nodeName!=b`.

use std::fmt;

use super::SelectorError;

const MAX_LENGTH: usize = 64 * 1024;

/// One term.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldRequirement {
    pub field: String,
    pub value: String,
    /// `field!=value`.
    pub negated: bool,
}

/// A conjunction of terms; no terms select everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldSelector(pub Vec<FieldRequirement>);

impl FieldSelector {
    /// Reads the text form. In values `\`, `,` and `=` are escaped with a backslash.
    ///
    /// # Errors
    /// When a term has no operator or a value holds an unescaped separator.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_LENGTH {
            return Err(SelectorError(format!("selector of {} bytes is longer than {MAX_LENGTH}", text.len())));
        }
        let mut terms = split_terms(text);
        terms.sort_unstable();
        terms.iter().filter(|t| !t.is_empty()).map(|t| term(text, t)).collect::<Result<_, _>>().map(Self)
    }

    /// One term `field=value`.
    #[must_use]
    pub fn equal(field: &str, value: &str) -> Self {
        Self(vec![FieldRequirement { field: field.to_owned(), value: value.to_owned(), negated: false }])
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all terms hold, given what each field's value is. A field without a value is the empty text.
    pub fn matches<'a>(&self, mut value: impl FnMut(&str) -> Option<std::borrow::Cow<'a, str>>) -> bool {
        self.0.iter().all(|r| (value(&r.field).as_deref().unwrap_or_default() == r.value) != r.negated)
    }

    /// The value that a field must have, if a term demands one.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|r| !r.negated && r.field == field).map(|r| r.value.as_str())
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            let (comma, operator) = (if i > 0 { "," } else { "" }, if r.negated { "!=" } else { "=" });
            write!(f, "{comma}{}{operator}{}", r.field, escape(&r.value))?;
        }
        Ok(())
    }
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn term(selector: &str, term: &str) -> Result<FieldRequirement, SelectorError> {
    let Some(at) = term.find("!=").into_iter().chain(term.find('=')).min() else {
        return Err(SelectorError(format!("invalid selector: '{selector}'; can't understand '{term}'")));
    };
    let (field, rest) = term.split_at(at);
    let (negated, value) = match rest.strip_prefix("!=") {
        Some(value) => (true, value),
        None => (false, rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).unwrap_or_default()),
    };
    Ok(FieldRequirement { field: field.to_owned(), value: unescape(value)?, negated })
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    let text = format!("invalid field selector: invalid escape sequence: {sequence}");
                    return Err(SelectorError(text));
                }
            },
            ',' | '=' => {
                let text = format!("invalid field selector: unescaped character in value: {}", c as u32);
                return Err(SelectorError(text));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, canonical) in [
            ("", ""),
            ("a=b", "a=b"),
            ("b==c,a!=d", "a!=d,b=c"),
            ("a=x\\,y", "a=x\\,y"),
            ("a=", "a="),
            ("a=b,,", "a=b"),
        ] {
            assert_eq!(FieldSelector::parse(text).expect(text).to_string(), canonical);
        }
        for bad in ["a", "a=b=c", "a=\\x", "a=b\\"] {
            assert!(FieldSelector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn matching() {
        let value = |field: &str| (field == "a").then_some("x".into());
        for (text, expected) in [("a=x", true), ("a!=x", false), ("b=", true), ("b!=y", true), ("a=x,b=z", false)] {
            assert_eq!(FieldSelector::parse(text).expect(text).matches(value), expected, "{text}");
        }
    }
}
