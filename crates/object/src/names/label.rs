//! Label keys and values.

use super::{DNS1123_SUBDOMAIN_MAX, LABEL_VALUE_MAX, SUBDOMAIN_FORMAT, is_subdomain, pattern};

const KEY_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                           alphanumeric character";

/// A label key: an optional subdomain, a slash, and a name (`example.com/my.name`).
#[must_use]
pub fn qualified_name(value: &str) -> Vec<String> {
    let mut parts = value.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        return vec![format!(
            "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            key_pattern()
        )];
    }
    match second {
        None => name_part(first),
        Some(name) => {
            let mut errors = prefix_part(first);
            errors.extend(name_part(name));
            errors
        }
    }
}

/// A label's value: at most 63 characters, empty or starting and ending with an alphanumeric one.
#[must_use]
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_VALUE_MAX {
        errors.push(max_bytes(LABEL_VALUE_MAX));
    }
    if !value.is_empty() && !is_key(value) {
        errors.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            &format!("({KEY_FORMAT})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

fn name_part(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_VALUE_MAX {
        errors.push(format!("name part {}", max_bytes(LABEL_VALUE_MAX)));
    }
    if !is_key(name) {
        errors.push(format!("name part {}", key_pattern()));
    }
    errors
}

fn prefix_part(prefix: &str) -> Vec<String> {
    if prefix.is_empty() {
        return vec!["prefix part must be non-empty".to_owned()];
    }
    let mut errors = Vec::new();
    if prefix.len() > DNS1123_SUBDOMAIN_MAX {
        errors.push(format!("prefix part {}", max_bytes(DNS1123_SUBDOMAIN_MAX)));
    }
    if !is_subdomain(prefix) {
        let message = pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            SUBDOMAIN_FORMAT,
            &["example.com"],
        );
        errors.push(format!("prefix part {message}"));
    }
    errors
}

fn is_key(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn key_pattern() -> String {
    pattern(KEY_MESSAGE, KEY_FORMAT, &["MyName", "my.name", "123-abc"])
}

fn max_bytes(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for ok in ["a", "A.b_c-d", "example.com/a", "1", "a.b/1"] {
            assert_eq!(qualified_name(ok), Vec::<String>::new(), "{ok}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "a b", "A/b", &"a".repeat(64)] {
            assert!(!qualified_name(bad).is_empty(), "{bad}");
        }
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
    }

    #[test]
    fn values() {
        for ok in ["", "a", "A.b_c-d", &"a".repeat(63)] {
            assert_eq!(label_value(ok), Vec::<String>::new(), "{ok}");
        }
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(
            label_value("a b"),
            ["a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
              start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
              for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"]
        );
    }
}
