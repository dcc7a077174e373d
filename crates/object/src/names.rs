//! What names, labels, ports and addresses may look like.
//!
//! Each check answers with the list of what is wrong, worded as upstream words it; an empty list means valid.

mod address;
mod label;

use std::fmt::Display;

pub use address::{
    canonical_cidr, canonical_ip, cidr, cidr_warnings, ip, ip_warning, network, parse_cidr, parse_ip, strict_cidr,
    strict_ip,
};
pub use label::{label_value, qualified_name};

pub const DNS1123_LABEL_MAX: usize = 63;
pub const DNS1123_SUBDOMAIN_MAX: usize = 253;
pub const DNS1035_LABEL_MAX: usize = 63;
pub const LABEL_VALUE_MAX: usize = 63;

const LABEL_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

/// A lowercase RFC 1123 label: `my-name`.
#[must_use]
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1123_LABEL_MAX);
    if !is_label(value) {
        errors.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            pattern(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character",
                LABEL_FORMAT,
                &["my-name", "123-abc"],
            )
        });
    }
    errors
}

/// A lowercase RFC 1123 subdomain: `example.com`.
#[must_use]
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1123_SUBDOMAIN_MAX);
    if !is_subdomain(value) {
        errors.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            SUBDOMAIN_FORMAT,
            &["example.com"],
        ));
    }
    errors
}

/// A subdomain whose labels may hold underscores: `_tcp.my_service.example.com`.
#[must_use]
pub fn dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1123_SUBDOMAIN_MAX);
    let is_loose = |label: &str| {
        let label = label.strip_prefix('_').unwrap_or(label);
        !label.starts_with('_') && !label.ends_with('_') && is_label(&label.replace('_', "-"))
    };
    if !value.split('.').all(is_loose) {
        let label = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        errors.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and \
             must start and end with an alphanumeric character",
            &format!("{label}(\\.{label})*"),
            &["example.com"],
        ));
    }
    errors
}

/// A subdomain in whatever case: `Example.com`.
#[must_use]
pub fn dns1123_subdomain_caseless(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1123_SUBDOMAIN_MAX);
    if !is_subdomain(&value.to_ascii_lowercase()) {
        errors.push(pattern(
            "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an \
             alphanumeric character",
            SUBDOMAIN_FORMAT,
            &["Example.com"],
        ));
    }
    errors
}

/// A subdomain whose first label is `*`: `*.example.com`.
#[must_use]
pub fn wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1123_SUBDOMAIN_MAX);
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        errors.push(pattern(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist \
             of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!("\\*\\.{SUBDOMAIN_FORMAT}"),
            &["*.example.com"],
        ));
    }
    errors
}

/// A DNS-1035 label, as Service names are: it starts with a letter.
#[must_use]
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1035_LABEL_MAX);
    if !(is_label(value) && value.as_bytes()[0].is_ascii_lowercase()) {
        errors.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    errors
}

#[must_use]
pub fn c_identifier(value: &str) -> Vec<String> {
    let mut bytes = value.bytes();
    let valid = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    unless(valid, || {
        pattern(
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric \
             characters or '_'",
            "[A-Za-z_][A-Za-z0-9_]*",
            &["my_name", "MY_NAME", "MyName"],
        )
    })
}

/// An environment variable's name: any printable ASCII but `=`.
#[must_use]
pub fn env_var_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.is_empty() {
        errors.push("environment variable name must be non-empty".to_owned());
    }
    if value.chars().any(|c| !(' '..='~').contains(&c) || c == '=') {
        errors.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='".into(),
        );
    }
    errors
}

/// A key of a ConfigMap or Secret.
#[must_use]
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut errors = longer(value, DNS1123_SUBDOMAIN_MAX);
    let valid =
        !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !valid {
        errors.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    if let Some(error) = directory_prefix(value) {
        errors.push(error);
    }
    errors
}

/// A port's name (`IANA_SVC_NAME`).
#[must_use]
pub fn port_name(value: &str) -> Vec<String> {
    let mut errors = if value.len() > 15 { vec![max_length(15)] } else { Vec::new() };
    let charset = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if value.is_empty() || !value.bytes().all(charset) {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

#[must_use]
pub fn port_number(port: i64) -> Vec<String> {
    in_range(port, 1, 65535)
}

#[must_use]
pub fn user_id(id: i64) -> Vec<String> {
    in_range(id, 0, i64::from(i32::MAX))
}

#[must_use]
pub fn group_id(id: i64) -> Vec<String> {
    in_range(id, 0, i64::from(i32::MAX))
}

#[must_use]
pub fn in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    unless((low..=high).contains(&value), || format!("must be between {low} and {high}, inclusive"))
}

/// A percentage such as `25%`.
#[must_use]
pub fn percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%');
    unless(digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit())), || {
        pattern("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", &["1%", "93%"])
    })
}

/// Why a condition has its status: `MinimumReplicasAvailable`.
#[must_use]
pub fn condition_reason(value: &str) -> Vec<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b':');
    let bytes = value.as_bytes();
    let valid = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && bytes.iter().all(|b| inner(*b));
    unless(valid, || {
        pattern(
            "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
             characters or '_,:', and must end with an alphanumeric character or '_'",
            "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
            &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
        )
    })
}

#[must_use]
pub fn http_header_name(value: &str) -> Vec<String> {
    let valid = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    unless(valid, || {
        pattern(
            "a valid HTTP header must consist of alphanumeric characters or '-'",
            "[-A-Za-z0-9]+",
            &["X-Header-Name"],
        )
    })
}

/// What may stand behind the domain of a path such as `example.com/a/b`.
#[must_use]
pub fn http_path(value: &str) -> Vec<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    unless(!value.is_empty() && value.bytes().all(allowed), || {
        r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')".to_owned()
    })
}

/// A name that may stand in a URL path: the weakest rule, used by RBAC objects among others.
#[must_use]
pub fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    path_segment_prefix(value)
}

/// What comes before the generated part of a path segment name.
#[must_use]
pub fn path_segment_prefix(value: &str) -> Vec<String> {
    ["/", "%"].iter().filter(|c| value.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// `prefix/name` with a prefix that must be there: `acme.io/foo`.
#[must_use]
pub fn domain_prefixed_key(value: &str) -> Vec<String> {
    let errors = qualified_name(value);
    if errors.is_empty() && !value.contains('/') {
        return vec!["must be a domain-prefixed key (such as \"acme.io/foo\")".to_owned()];
    }
    errors
}

#[must_use]
pub fn is_label(value: &str) -> bool {
    let bytes = value.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

#[must_use]
pub fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

/// `must be no more than N characters`.
#[must_use]
pub fn max_length(max: impl Display) -> String {
    format!("must be no more than {max} characters")
}

fn longer(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![max_length(max)] } else { Vec::new() }
}

fn unless(valid: bool, message: impl FnOnce() -> String) -> Vec<String> {
    if valid { Vec::new() } else { vec![message()] }
}

/// The usual form of a message about a pattern, with examples.
fn pattern(message: &str, format: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{format}')", examples.join(" or "))
}

fn directory_prefix(value: &str) -> Option<String> {
    match value {
        "." | ".." => Some(format!("must not be '{value}'")),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_subdomains() {
        for ok in ["a", "ab", "a1", "1a", "a-b", "a--b", &"a".repeat(63)] {
            assert_eq!(dns1123_label(ok), Vec::<String>::new(), "{ok}");
        }
        for bad in ["", "A", "-a", "a-", "a_b", "a b", &"a".repeat(64)] {
            assert!(!dns1123_label(bad).is_empty(), "{bad}");
        }
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert!(dns1123_subdomain("a.b-c.d").is_empty());
        assert!(!dns1123_subdomain("a..b").is_empty());
        assert!(!dns1035_label("1a").is_empty());
    }

    #[test]
    fn messages_are_upstreams() {
        assert_eq!(
            dns1123_subdomain("A"),
            [
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
              start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(
            dns1035_label(""),
            ["a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
              character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
              validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"]
        );
        assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
    }

    #[test]
    fn ports_and_keys() {
        assert!(port_name("http-2").is_empty());
        assert_eq!(port_name("1").len(), 1);
        assert_eq!(port_name("a--b"), ["must not contain consecutive hyphens"]);
        assert!(config_map_key("a.B_c-1").is_empty());
        assert_eq!(config_map_key("..a"), ["must not start with '..'"]);
        assert!(env_var_name("A b").is_empty());
        assert!(!env_var_name("A=b").is_empty());
        assert_eq!(path_segment(".."), ["may not be '..'"]);
        assert_eq!(path_segment("a/%"), ["may not contain '/'", "may not contain '%'"]);
    }
}
