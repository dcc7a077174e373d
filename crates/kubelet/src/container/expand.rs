//! `$(NAME)` references in commands, arguments and values.

/// Replaces `$(NAME)` by what `lookup` knows; unknown names stay as they are, `$$` is one dollar sign.
#[must_use]
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "LOOP" => Some("$(A)".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(expand(text, lookup), expected, "{text}");
    }

    #[test]
    fn references() {
        check("plain", "plain");
        check("$(A)-$(A)", "1-1");
        check("$(UNKNOWN)", "$(UNKNOWN)");
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("$A $", "$A $");
        check("$(A", "$(A");
        check("$(LOOP)", "$(A)");
        check("x$(EMPTY)y", "xy");
        check("ü$(A)ü", "ü1ü");
    }
}
